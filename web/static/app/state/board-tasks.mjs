// The board's tasks: the first page of each state in one reply, then kept right by events. Other views read one task by
// themselves.
import { batch, signal } from "@preact/signals";
import { toastError } from "../browser/toasts.mjs";
import { api, retryLater } from "../server/api.mjs";
import { isPointerDown, pointerUp } from "../views/board/pointer-hold.mjs";

const PAGE = 50;
const MOST = 200;
const isDelivered = ({ state }) => ["approved", "staging", "production"].includes(state);

// Map of task id → task, for the project that the board shows; null until the first answer.
export const tasks = signal(null);
// state → the cursor of its next page; absent when all of it is here.
export const cursors = signal({});
// state → {count, isCapped} of those on pages not read yet; absent when all of it is here. isCapped: the server stopped
// counting, and there are more.
export const unloadedCounts = signal({});
export const tasksError = signal(null);
// Task id → what its card says besides the task: {question, askedBy, step, costUsd, checks, waitsFor, overlaps}.
export const cardDetails = signal(new Map());

// state → how many of these tasks are in it.
function counted(all) {
  const known = {};
  for (const { state } of all.values()) known[state] = (known[state] || 0) + 1;
  return known;
}

// What `unloadedCounts` says of these columns, of which `all` is here.
function remaining(columns, all) {
  const known = counted(all);
  return Object.fromEntries(
    columns.map(({ state, total }) => [state, { count: Math.max(0, total - (known[state] || 0)), isCapped: false }]),
  );
}

// The columns are counted anew at once when a task comes that was on a page not read, but not more often than this.
const RECOUNT_MS = 1000;

// filter: what GET /board and GET /tasks take alike, such as {q, label}; {} for all.
let board = { projectId: null, filter: {} };
const isFiltered = () => Object.values(board.filter).some(Boolean);
const isShown = (projectId, filter) =>
  projectId === board.projectId && JSON.stringify(filter) === JSON.stringify(board.filter);
let loadNumber = 0;
let loading = false;
// Called when no pages of the board are on their way any more.
const afterLoading = [];
let changedIds = new Set();
let timer = 0;
let recounting = 0;
let countedAt = -RECOUNT_MS;
// Counts what was put among the tasks.
let changes = 0;
// Reads of single tasks are numbered as they are asked: task id → the number of the one that is shown.
let reads = 0;
let shownReads = new Map();

const put = (fresh) => {
  const all = new Map(tasks.value || []);
  changes += 1;
  for (const task of fresh) all.set(task.id, { ...all.get(task.id), ...task });
  tasks.value = all;
};

// Answers may come in another order than they were asked for: what was asked later is not undone.
const isOvertaken = (id, read) => (shownReads.get(id) ?? 0) > read;

const byTask = (some) => new Map(some.map(({ taskId, ...card }) => [taskId, card]));

// Reads the first page of each state. Read again, the columns keep their length as far as one page may reach.
// Repeating it is safe: the last call wins.
export async function loadBoard(projectId, filter) {
  const mine = ++loadNumber;
  if (!isShown(projectId, filter)) tasks.value = null;
  board = { projectId, filter };
  changedIds = new Set();
  // What was heard before is in what is read now. It may have been of another project.
  clearTimeout(timer);
  timer = 0;
  shownReads = new Map();
  loading = true;
  try {
    const longest = Math.max(PAGE, ...Object.values(counted(tasks.value || new Map())));
    const limit = Math.min(MOST, longest);
    const { columns, cards: said } = await api.get("/board", { projectId, ...filter, limit });
    await pointerUp();
    if (mine !== loadNumber) return;
    const unread = columns.filter(({ nextCursor }) => nextCursor);
    batch(() => {
      const all = new Map(columns.flatMap((column) => column.tasks).map((task) => [task.id, task]));
      tasks.value = all;
      cardDetails.value = byTask(said);
      cursors.value = Object.fromEntries(unread.map(({ state, nextCursor }) => [state, nextCursor]));
      unloadedCounts.value = remaining(unread, all);
      tasksError.value = null;
    });
  } catch (error) {
    if (mine !== loadNumber) return;
    // Told once, not with every try.
    if (tasks.value && !tasksError.value) toastError(error);
    tasksError.value = error;
    retryLater(error, () => mine === loadNumber && loadBoard(projectId, filter));
  } finally {
    if (mine === loadNumber) {
      loading = false;
      for (const go of afterLoading.splice(0)) go();
      if (changedIds.size && tasks.value) readDirty(() => loadBoard(projectId, filter));
    }
  }
}

// Reads again how many tasks the columns have and what the cards say, such as what agents do now: nothing is heard of
// that.
export async function loadCards() {
  const mine = loadNumber;
  const { projectId, filter } = board;
  if (loading || !tasks.value) return;
  const read = ++reads;
  const before = changes;
  const { columns, cards: said } = await api.get("/board", { projectId, ...filter, limit: PAGE });
  await pointerUp();
  if (mine !== loadNumber) return;
  const fresh = said.filter(({ taskId }) => !isOvertaken(taskId, read));
  cardDetails.value = new Map([...cardDetails.value, ...byTask(fresh)]);
  // What was counted may be older than what is here by now.
  if (before !== changes || changedIds.size) return recountSoon();
  unloadedCounts.value = remaining(
    columns.filter(({ state }) => cursors.value[state]),
    tasks.value,
  );
}

// A task that was on a page not read is counted there, too, until the columns are counted anew.
function recountSoon() {
  const wait = countedAt + RECOUNT_MS - performance.now();
  recounting ||= setTimeout(
    () => {
      recounting = 0;
      countedAt = performance.now();
      loadCards().catch(toastError);
    },
    Math.max(0, wait),
  );
}

// Puts whole tasks among those that are here.
function keep(fresh) {
  const isNew = fresh.some(({ id }) => !tasks.value.has(id));
  put(fresh);
  if (isNew && Object.keys(cursors.value).length) recountSoon();
}

// What the card of a task says that was read by itself.
function cardOf(task, before) {
  const open = (task.questions || []).find(({ status }) => status === "pending");
  const checks = {};
  for (const { status } of task.checks || []) checks[status] = (checks[status] || 0) + 1;
  const missing = (task.dependsOn || []).map((id) => tasks.value?.get(id)).filter((one) => one && !isDelivered(one));
  return {
    question: open?.question ?? null,
    askedBy: open?.askedBy ?? null,
    step: task.state === "in_progress" ? (before?.step ?? null) : null,
    costUsd: task.spent?.costUsd ?? 0,
    checks,
    waitsFor: task.state === "backlog" ? missing.map(({ title }) => title) : [],
    overlaps: before?.overlaps ?? [],
  };
}

// Reads one more page of the state; if the whole board is read meanwhile, which would replace it, once that is here.
export async function loadMore(state) {
  const { projectId, filter } = board;
  let mine, reply;
  do {
    if (loading) await new Promise((resolve) => afterLoading.push(resolve));
    const cursor = cursors.value[state];
    if (!isShown(projectId, filter) || !cursor) return;
    mine = loadNumber;
    reply = await api.get("/tasks", { projectId, state, ...filter, limit: PAGE, cursor });
  } while (mine !== loadNumber);
  const before = tasks.value.size;
  put(reply.tasks);
  const { [state]: more, ...others } = unloadedCounts.value;
  const count = Math.max(0, more.count - (tasks.value.size - before));
  unloadedCounts.value = reply.nextCursor ? { ...others, [state]: { ...more, count } } : others;
  const { [state]: _, ...rest } = cursors.value;
  cursors.value = reply.nextCursor ? { ...rest, [state]: reply.nextCursor } : rest;
}

// Takes a task as a reply gave it. With a search or a filter only one that is here: what else they let through is the
// server's to say.
export function storeTask(task) {
  if (task.projectId !== board.projectId) return;
  // The pages on their way may be older than this: it is read again when they are here, or they would undo it.
  if (loading) changedIds.add(task.id);
  if (!tasks.value) return;
  if (!isFiltered() || tasks.value.has(task.id)) keep([task]);
}

// Takes one live message: moves the card at once, unless a pointer is down, then reads what else changed. `again` reads
// the whole board.
export function applyTaskEvent(message, again) {
  const id = message.data?.taskId;
  if (!id || message.projectId !== board.projectId) return;
  // The pages on their way may be older than this: it is read when they are here, or they would undo it.
  if (loading) return void changedIds.add(id);
  if (!tasks.value) return;
  const known = tasks.value.get(id);
  if (message.event === "task:status_changed" && known && !isPointerDown()) put([{ id, state: message.data.newState }]);
  changedIds.add(id);
  timer ||= setTimeout(() => {
    timer = 0;
    readDirty(again);
  }, 150);
}

// isRepeat: whether what could not be read was told already.
async function readDirty(again, isRepeat) {
  if (loading) return;
  const ids = [...changedIds];
  changedIds = new Set();
  // What a search or a filter lets through is the server's to say.
  if (ids.length > 12 || isFiltered()) return again();
  const mine = loadNumber;
  const read = ++reads;
  const missed = [];
  let fault = null;
  const readOne = (id) =>
    api.get(`/tasks/${id}`).catch((error) => {
      if (error.status === 404) return;
      missed.push(id);
      fault = error;
    });
  const replies = await Promise.all(ids.map(readOne));
  await pointerUp();
  if (mine !== loadNumber) return;
  if (fault) {
    if (!isRepeat) toastError(fault);
    retryLater(fault, () => {
      if (mine !== loadNumber) return;
      for (const id of missed) changedIds.add(id);
      readDirty(again, true);
    });
  }
  const known = replies.filter(Boolean).map(({ task }) => task);
  const fresh = known.filter(({ id }) => !isOvertaken(id, read));
  for (const { id } of fresh) shownReads.set(id, read);
  batch(() => {
    keep(fresh);
    cardDetails.value = new Map([
      ...cardDetails.value,
      ...fresh.map((task) => [task.id, cardOf(task, cardDetails.value.get(task.id))]),
    ]);
  });
}
