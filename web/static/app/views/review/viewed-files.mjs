// Which files of a task's diff a person has viewed, and how they like to see diffs. Kept in this browser only. Marks
// are for one commit: with the next one there is something new to see.
import { readJson } from "../../browser/storage.mjs";
import { user } from "../../server/session.mjs";

const KEY = "aiworker.viewed";
const MODE = "aiworker.diff-mode";
const MOST_KEPT = 100;

function read() {
  const kept = readJson(localStorage, KEY);
  return Array.isArray(kept) ? kept : [];
}

const nameOf = (taskId) => `${user.value?.id} ${taskId}`;

// The paths that were viewed at this commit, in whichever window.
export function viewedPaths(taskId, headSha) {
  const found = read().find((one) => one.of === nameOf(taskId) && one.head === headSha);
  return new Set(found?.paths);
}

// paths: all that are viewed now.
export function storeViewed(taskId, headSha, paths) {
  const mine = { of: nameOf(taskId), head: headSha, paths: [...paths] };
  const others = read().filter((one) => one.of !== mine.of || one.head !== mine.head);
  try {
    localStorage.setItem(KEY, JSON.stringify([mine, ...others].slice(0, MOST_KEPT)));
  } catch {
    // Full, or switched off: the marks last as long as the page is open.
  }
}

// Calls `act` when another window has marked something. Returns the function that ends this.
export function onViewedElsewhere(act) {
  const changed = ({ key }) => (key === KEY || key === null) && act();
  addEventListener("storage", changed);
  return () => removeEventListener("storage", changed);
}

export const storedMode = () => (localStorage.getItem(MODE) === "split" ? "split" : "unified");
export const storeMode = (mode) => localStorage.setItem(MODE, mode);
