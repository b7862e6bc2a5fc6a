// Cancels tasks a little later, unless the person takes it back: a cancelled task can't be taken up again, so this is
// the only undo. Until then nothing has happened, and the page does not say that it has. Leaving the page or logging
// out cancels at once.
import { signal } from "@preact/signals";
import { dismissToast, toastFor, toastSuccess, toastWarning } from "../browser/toasts.mjs";
import { api, beforeSignOut } from "../server/api.mjs";
import { onSignedOut, signedIn } from "../server/session.mjs";
import { mark, t, tn } from "../words/language.mjs";
import { storeTask } from "./board-tasks.mjs";

const SECONDS = 5;
const DONE = [mark("{count} task cancelled."), mark("{count} tasks cancelled.")];

// Ids of the tasks that were told to be cancelled, until the server has answered or the person took it back.
const waiting = signal(new Set());
export const willBeCancelled = ({ id }) => waiting.value.has(id);

// What sends each that waits, (options) => a promise, and what takes it back.
const sends = new Map();
const sendAll = (options) => Promise.all([...sends.keys()].map((now) => now(options)));

// Repeating it is safe: a task that waits already keeps the time and the Undo that it has.
// done: reads again what shows the tasks; async.
export function cancelSoon(some, done) {
  const tasks = some.filter((task) => !willBeCancelled(task));
  if (!tasks.length) return;
  const words = { count: tasks.length, title: tasks[0].title, seconds: SECONDS };
  const text =
    tasks.length === 1
      ? t("“{title}” will be cancelled in {seconds} s.", words)
      : t("{count} tasks will be cancelled in {seconds} s.", words);
  const stop = () => {
    clearTimeout(timer);
    sends.delete(now);
    dismissToast(toast);
  };
  const release = () => {
    waiting.value = new Set([...waiting.value].filter((id) => tasks.every((task) => task.id !== id)));
  };
  const undo = () => {
    stop();
    release();
  };
  const now = (options) => {
    stop();
    return cancelAll(tasks, options).finally(release).finally(done);
  };
  const timer = setTimeout(now, SECONDS * 1000);
  sends.set(now, undo);
  waiting.value = new Set([...waiting.value, ...tasks.map(({ id }) => id)]);
  const toast = toastFor(SECONDS * 1000, text, { text: t("Undo"), act: undo });
}

async function cancelAll(tasks, options) {
  const refused = [];
  const cancel = async ({ id, title }) => {
    try {
      storeTask((await api.post(`/tasks/${id}/cancel`, {}, options)).task);
    } catch (error) {
      refused.push(`“${title}”: ${error.message}`);
    }
  };
  if (options?.keepalive) await Promise.all(tasks.map(cancel));
  else for (const task of tasks) await cancel(task);
  // The session has ended over it: who signs in next may be somebody else.
  if (!signedIn.value) return;
  const count = tasks.length - refused.length;
  if (count) toastSuccess(tn(count, ...DONE));
  if (refused.length) toastWarning(refused.join(" "));
}

addEventListener("pagehide", () => sendAll({ keepalive: true }));
beforeSignOut.add(() => sendAll());
// Signed out in another window: nothing can be sent any more.
onSignedOut(() => [...sends.values()].forEach((undo) => undo()));
