// Which keys do what: views say theirs, and `?` lists them. Also what Ctrl-K and `?` have opened.
import { signal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { mark } from "../words/language.mjs";
import { go, route, to } from "./routes.mjs";

// What stands over the page: "palette", "keys" or null.
export const overlay = signal(null);
// On which project's board the form for a new task is open: its id, or null.
export const newTaskProject = signal(null);

// Opens that form, where the board is.
export function openNewTask(projectId) {
  // With a tab it is a task's own page, and not the board.
  const { view, projectId: shown, tab } = route.value;
  if (view !== "tasks" || shown !== projectId || tab) go(to.project(projectId));
  newTaskProject.value = projectId;
}

const EVERYWHERE = [
  ["Ctrl-K", mark("Go to or do anything")],
  ["?", mark("This list")],
  ["/", mark("Search, where there is a search")],
  ["Esc", mark("Close what is open")],
];

// The lists of the views that are open: [key, text].
const listed = signal([]);
export const shortcutLists = () => [...listed.value, EVERYWHERE];

// While a view is open, its keys are in the list. keys: [key, text]; a text is marked, and translated when it is shown.
export function useShortcutList(keys) {
  useEffect(() => {
    listed.value = [...listed.value, keys];
    return () => {
      listed.value = listed.value.filter((one) => one !== keys);
    };
  }, []);
}

// Whether a key pressed here is a letter of a text, or meant for a dialog.
export const isTyping = ({ target }) => Boolean(target.closest("input,textarea,select,dialog,[contenteditable]"));
export const hasNoModifier = (event) => !event.ctrlKey && !event.metaKey && !event.altKey;

function search(event) {
  const field = document.querySelector("input[type=search]");
  if (!field) return;
  event.preventDefault();
  field.focus();
  field.select();
}

// Calls `act` for each key that is pressed, from before anything of the view is seen: a key pressed on sight of it must
// not go to what lies below. isFirst: asked before all others, which it may keep from hearing of it.
export function useKeyDown(act, { isOn = true, isFirst = false } = {}) {
  const latest = useRef();
  latest.current = act;
  useLayoutEffect(() => {
    // Within a word that is being composed, keys belong to the input method.
    const pressed = (event) => event.isComposing || latest.current(event);
    if (isOn) addEventListener("keydown", pressed, isFirst);
    return () => removeEventListener("keydown", pressed, isFirst);
  }, [isOn, isFirst]);
}

// The keys that work on every view.
export function usePageShortcuts() {
  useKeyDown((event) => {
    const isPalette = event.key?.toLowerCase() === "k" && (event.ctrlKey || event.metaKey);
    if (isPalette && !event.altKey && !event.shiftKey) {
      event.preventDefault();
      overlay.value = overlay.value === "palette" ? null : "palette";
    } else if (hasNoModifier(event) && !isTyping(event)) {
      if (event.key === "/") search(event);
      if (event.key === "?") overlay.value = "keys";
    }
  });
}
