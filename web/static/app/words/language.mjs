// The page's words. English is what the code says; it is also the key under which another language is looked up.
import { signal } from "@preact/signals";

const KEY = "aiworker.language";
const CATALOGUES = { es: () => import("../languages/es.mjs") };
// What only parts say that are loaded later: the larger half.
const LATER = { es: () => import("../languages/es-later.mjs") };

// What a person may choose: [code, its own name].
export const LANGUAGES = [
  ["en", "English"],
  ["es", "Español"],
];

// The present language. Whatever renders a text is drawn again when it changes.
export const language = signal("en");
let catalogue = {};

const base = (tag) => tag.split("-")[0];
const isKnown = (code) => LANGUAGES.some(([one]) => one === code);

// The browser's own variant of the language, such as en-GB, for dates and numbers.
export const locale = () => navigator.languages.find((tag) => base(tag) === language.value) || language.value;

const formatters = new Map();

// A formatter of Intl in the present language: intl("DateTimeFormat", { month: "short" }).
export function intl(kind, options = {}) {
  const key = `${kind} ${locale()} ${JSON.stringify(options)}`;
  if (!formatters.has(key)) formatters.set(key, new Intl[kind](locale(), options));
  return formatters.get(key);
}

let wanted = null;

async function take(code, ...parts) {
  wanted = code;
  const found = await Promise.all(parts.map((part) => part[code]?.()));
  // Another one was chosen before these words were there.
  if (wanted !== code) return;
  catalogue = Object.assign({}, ...found.map((module) => module?.TEXTS));
  language.value = code;
  document.documentElement.lang = code;
}

// Done before the first render. English where the catalogue can't be loaded.
export async function startLanguage() {
  const first = localStorage.getItem(KEY) || navigator.languages.map(base).find(isKnown);
  if (first !== language.value && isKnown(first)) await take(first, CATALOGUES).catch(() => {});
}

// Resolves once the words of later parts are there, or can't be loaded: they are said in English then.
export function loadLaterTexts() {
  const code = language.value;
  const add = ({ TEXTS }) => {
    if (code === language.value) catalogue = { ...catalogue, ...TEXTS };
  };
  return Promise.resolve(LATER[code]?.().then(add, () => {}));
}

export async function chooseLanguage(code) {
  await take(code, CATALOGUES, LATER);
  if (language.value === code) localStorage.setItem(KEY, code);
}

// Marks that keep letters which run from right to left apart from the punctuation around them.
const [APART, END] = ["\u2068", "\u2069"];
const FROM_RIGHT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe]/;
const apart = (value) => (FROM_RIGHT.test(value) ? `${APART}${value}${END}` : value);
// The text for what is not shown in a sentence of this page: a title that is sent, say.
export const withoutDirectionMarks = (text) => text.replace(/[\u2068\u2069]/g, "");

const filled = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => apart(values[name] ?? whole));
const found = (text) => (language.value !== "en" && Object.hasOwn(catalogue, text) ? catalogue[text] : text);

// t("{name} was added", { name }): each {name} is replaced by its value, a text or a number.
export const t = (text, values = {}) => filled(found(text), values);

// tn(3, "{count} file", "{count} files"): one of two texts, with {count}.
export const tn = (count, one, many, values = {}) => t(count === 1 ? one : many, { count, ...values });

// th("Give it to {command}.", { command: html`<code>git</code>` }): texts and elements, to stand between tags.
export const th = (text, values) =>
  found(text)
    .split(/\{(\w+)\}/)
    .map((part, at) => (at % 2 ? apart(values[part]) : part));

// A list of [value, text] with the texts in the present language.
export const tPairs = (pairs) => pairs.map(([value, text]) => [value, t(text)]);

// A text in a list that is made when a module is loaded; whatever shows it calls t with it.
export const mark = (text) => text;
