// Short messages at the edge of the page: what failed, in the server's words, and what was done.
import { signal } from "@preact/signals";
import { t } from "../words/language.mjs";

export const toasts = signal([]);
// The ids of the modal dialogs that are open, the topmost last.
export const openDialogs = signal([]);
let next = 1;

export function dismissToast(id) {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

// link: {text, href}, or {text, act} for what may take back what was done: such a message makes room for no other but
// one of the same act.
function show(kind, text, link = null, ms = kind === "good" && !link?.act ? 4000 : 9000) {
  const id = next++;
  const isSame = (toast) => toast.text === text && toast.link?.act === link?.act;
  const before = toasts.value.filter((toast) => !isSame(toast));
  const kept = before.filter((toast, index) => toast.link?.act || index >= before.length - 3);
  toasts.value = [...kept, { id, kind, text, link }];
  setTimeout(() => dismissToast(id), ms);
  return id;
}

// Something was done that `undo` (async) takes back.
export const toastUndoable = (text, undo) => void show("good", text, { text: t("Undo"), act: undo });
// Something is about to be done. Returns the id of the message, for `dismissToast`.
export const toastFor = (ms, text, link) => show("good", text, link, ms);
export const toastSuccess = (text, link) => void show("good", text, link);
// Not a failure, but somebody may want to do something about it.
export const toastWarning = (text, link) => void show("ask", text, link);

// Something of the project went wrong, though no call of the page did.
export const toastProblem = (text, link) => void show("bad", text, link);

export function toastError(error) {
  if (error?.status === 401) return;
  if (error?.status === undefined) console.error(error);
  show("bad", error?.message || String(error));
}
