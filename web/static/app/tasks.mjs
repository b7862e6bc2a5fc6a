// The board's tasks: pages of each state over REST, then kept right by events. Other views read one task by themselves.
import { signal } from "@preact/signals";
import { api } from "./api.mjs";
import { failed } from "./toasts.mjs";

const PAGE = 50;

// Map of task id → task, for the project that the board shows; null until the first answer.
export const tasks = signal(null);
// state → the cursor of its next page; absent when all of it is here.
export const cursors = signal({});
// state → {count, isCapped} of those on pages not read yet; absent when all of it is here. isCapped: the server stopped
// counting, and there are more.
export const further = signal({});
export const trouble = signal(null);

const remaining = ({ total, totalIsCapped, tasks: page }) => ({
  count: Math.max(0, total - page.length),
  isCapped: Boolean(totalIsCapped),
});

let shown = { projectId: null, q: "" };
let asked = 0;
let loading = false;
let dirty = new Set();
let timer = 0;

const put = (fresh) => {
  const all = new Map(tasks.value || []);
  for (const task of fresh) all.set(task.id, { ...all.get(task.id), ...task });
  tasks.value = all;
};

// Reads the first page of each state. Repeating it is safe: the last call wins.
export async function loadBoard(projectId, q, states) {
  const mine = ++asked;
  if (projectId !== shown.projectId || q !== shown.q) tasks.value = null;
  shown = { projectId, q };
  dirty = new Set();
  loading = true;
  try {
    const replies = await Promise.all(states.map((state) => api.get("/tasks", { projectId, state, q, limit: PAGE })));
    if (mine !== asked) return;
    tasks.value = new Map(replies.flatMap((reply) => reply.tasks).map((task) => [task.id, task]));
    cursors.value = Object.fromEntries(
      states.map((state, at) => [state, replies[at].nextCursor]).filter(([, cursor]) => cursor),
    );
    further.value = Object.fromEntries(
      states.map((state, at) => [state, remaining(replies[at])]).filter((_, at) => replies[at].nextCursor),
    );
    trouble.value = null;
  } catch (error) {
    if (mine === asked) trouble.value = error;
    if (mine === asked && tasks.value) failed(error);
  } finally {
    if (mine === asked) {
      loading = false;
      if (dirty.size && tasks.value) readDirty(() => loadBoard(projectId, q, states));
    }
  }
}

export async function loadMore(state) {
  const mine = asked;
  const { projectId, q } = shown;
  const reply = await api.get("/tasks", { projectId, state, q, limit: PAGE, cursor: cursors.value[state] });
  if (mine !== asked) return;
  const before = tasks.value.size;
  put(reply.tasks);
  const { [state]: more, ...others } = further.value;
  const count = Math.max(0, more.count - (tasks.value.size - before));
  further.value = reply.nextCursor ? { ...others, [state]: { ...more, count } } : others;
  const { [state]: _, ...rest } = cursors.value;
  cursors.value = reply.nextCursor ? { ...rest, [state]: reply.nextCursor } : rest;
}

export function keepTask(task) {
  if (task.projectId === shown.projectId && tasks.value) put([task]);
}

// Takes one live message: moves the card at once, then reads what else changed. `again` reads the whole board.
export function heardOfTask(message, again) {
  const id = message.data?.taskId;
  if (!id || message.projectId !== shown.projectId) return;
  // The pages on their way may be older than this: it is read when they are here, or they would undo it.
  if (loading) return void dirty.add(id);
  if (!tasks.value) return;
  const known = tasks.value.get(id);
  if (message.event === "task:status_changed" && known) put([{ id, state: message.data.newState }]);
  dirty.add(id);
  timer ||= setTimeout(() => {
    timer = 0;
    readDirty(again);
  }, 150);
}

async function readDirty(again) {
  if (loading) return;
  // A search's hits are the server's to say.
  const ids = [...dirty].filter((id) => !shown.q || tasks.value.has(id));
  dirty = new Set();
  if (ids.length > 12) return again();
  const mine = asked;
  try {
    const replies = await Promise.all(
      ids.map((id) => api.get(`/tasks/${id}`).catch((error) => (error.status === 404 ? null : Promise.reject(error)))),
    );
    if (mine === asked) put(replies.filter(Boolean).map(({ task }) => task));
  } catch (error) {
    failed(error);
  }
}
