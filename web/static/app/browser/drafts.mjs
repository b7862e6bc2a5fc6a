// What somebody writes and has not sent: kept for this tab and this person until it is sent or thrown away.
import { effect, signal } from "@preact/signals";
import { user } from "../server/session.mjs";
import { readJson } from "./storage.mjs";

const PREFIX = "aiworker.draft.";

// Not tied to who signs in next: what an effect keeps would be written again under that name.
const nameOf = (key) => `${PREFIX}${user.peek()?.id}.${key}`;

// What was kept under this key, or null.
export const storedDraft = (key) => readJson(sessionStorage, nameOf(key));

// Keeps what can be written as JSON; null drops it. Without room for it nothing is kept.
export function storeDraft(key, value) {
  try {
    if (value === null) sessionStorage.removeItem(nameOf(key));
    else sessionStorage.setItem(nameOf(key), JSON.stringify(value));
  } catch {
    // Full, or switched off: what is written is on the page all the same.
  }
}

// The files that go with a draft, by its key's name: not written as JSON, so they last as long as the page.
const files = new Map();
export const storedFiles = (key) => files.get(nameOf(key)) || [];
export const storeFiles = (key, some) => files.set(nameOf(key), some);

// Drops everybody's: for signing out.
export function deleteDrafts() {
  files.clear();
  for (const name of Object.keys(sessionStorage)) if (name.startsWith(PREFIX)) sessionStorage.removeItem(name);
}

// A comment on lines that is being written. `body` is a signal: a letter draws nothing but its own field again.
// place: {path, line, startLine, side, commitSha}; with `id` too if it changes a pending comment.
export const lineCommentDraft = (place, body = "") => ({ ...place, body: signal(body) });

// The comments on lines of a task that are being written: a signal of a list of line drafts.
// `end` stops keeping them; what is kept by then stays.
export function lineCommentDrafts(taskId) {
  const key = `lines.${taskId}`;
  const author = user.peek()?.id;
  const drafts = signal((storedDraft(key) || []).map(({ body, ...place }) => lineCommentDraft(place, body)));
  const end = effect(() => {
    const written = drafts.value.map((draft) => ({ ...draft, body: draft.body.value }));
    // Who signed out has thrown it away.
    if (user.peek()?.id === author) storeDraft(key, written.length ? written : null);
  });
  return { drafts, end };
}
