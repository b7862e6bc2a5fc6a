// Light or dark: what was chosen in this browser, else what the system says.
import { signal } from "@preact/signals";
import { mark } from "../words/language.mjs";

const KEY = "aiworker.scheme";

export const SCHEMES = [
  ["system", mark("As the system")],
  ["light", mark("Light")],
  ["dark", mark("Dark")],
];

export const scheme = signal("system");

const show = (name) => {
  scheme.value = name;
  document.documentElement.dataset.scheme = name;
};

export function applyStoredScheme() {
  const kept = localStorage.getItem(KEY);
  show(SCHEMES.some(([name]) => name === kept) ? kept : "system");
}

export function chooseScheme(name) {
  localStorage.setItem(KEY, name);
  show(name);
}
