// The live connection: one WebSocket at /ws for the page. Tells listeners what happens; keeps no state of the domain.
import { signal } from "@preact/signals";
import { refresh } from "./api.mjs";
import { currentTokens, signedIn } from "./session.mjs";

// "off" (nobody signed in), "connecting", "on".
export const connection = signal("off");

const PLATFORM = "platform";
// The feed of what is done to users, tokens and settings: for administrators.
export const ADMINISTRATION_FEED = "administration";
// A link that froze says nothing: it is asked this often, and given up when nothing at all is heard for so long.
const PING_MS = 15_000;
const ANSWER_TIMEOUT_MS = 10_000;
// While somebody looks, a new connection is given up sooner: what froze under it may come back at any moment. It has
// this many times what the last one took, and at least so long.
const CONNECT_TIMEOUT_FACTOR = 5;
const MIN_CONNECT_TIMEOUT_MS = 1500;
// The longest pause between two tries: while somebody looks, and when nobody does or the server asked for patience.
const LONGEST_VISIBLE_PAUSE_MS = 2000;
const LONGEST_PAUSE_MS = 30_000;
const TRY_AGAIN_LATER = 1013;
// The first pause before a subscription that was refused is asked for again; each further one is twice as long.
const FIRST_REFUSAL_PAUSE_MS = 2000;
const listeners = new Set();
const lastSeqs = new Map(); // project id → the last seq that was heard
const projectWatchers = new Map(); // project id → how many views want it
const taskFollowers = new Map(); // task id → how many views want it
const pendingSubscriptions = new Set(); // projects whose subscription was asked for and not answered yet
const refusedSubscriptions = new Set(); // wanted projects of which the server tells nothing
let socket = null;
let failedTries = 0;
let retryTimer = 0;
let renewalTimer = 0;
let pingTimer = 0;
let answerTimer = 0;
let subscriptionTimer = 0;
let refusalCount = 0;
let connectStartedAt = 0;
let lastConnectMs = LONGEST_PAUSE_MS;

// Calls listener({event, data, projectId, seq, at}) for each message. `resync` means: read the state again over REST.
export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function notifyListeners(message) {
  for (const listener of [...listeners]) listener(message);
}

function send(event, data) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ event, data }));
}

function subscribe(projectId) {
  pendingSubscriptions.add(projectId);
  refusedSubscriptions.delete(projectId);
  const data = { projectId };
  if (lastSeqs.has(projectId)) data.afterSeq = lastSeqs.get(projectId);
  send("subscribe", data);
}

// Counts a wish for `id` and returns what ends it; says so to the server on the first and after the last.
function countInterest(wishes, id, begin, end) {
  wishes.set(id, (wishes.get(id) || 0) + 1);
  if (wishes.get(id) === 1 && connection.value === "on") begin(id);
  return () => {
    const left = wishes.get(id) - 1;
    if (left > 0) return wishes.set(id, left);
    wishes.delete(id);
    if (connection.value === "on") end(id);
  };
}

export const watchProject = (id) =>
  countInterest(projectWatchers, id, subscribe, (gone) => {
    lastSeqs.delete(gone);
    pendingSubscriptions.delete(gone);
    refusedSubscriptions.delete(gone);
    send("unsubscribe", { projectId: gone });
  });

export const followTask = (id) =>
  countInterest(
    taskFollowers,
    id,
    (taskId) => send("follow", { taskId }),
    (taskId) => send("unfollow", { taskId }),
  );

// Asks for each refused subscription again. Called, too, when this person is likely to be granted one.
export function retrySubscriptions() {
  clearTimeout(subscriptionTimer);
  subscriptionTimer = 0;
  for (const projectId of [...refusedSubscriptions]) subscribe(projectId);
}

// What happens until one is granted is not told, so that the state is read again then.
function noteRefusals(projectIds) {
  for (const projectId of projectIds) {
    pendingSubscriptions.delete(projectId);
    lastSeqs.delete(projectId);
    refusedSubscriptions.add(projectId);
  }
  if (!refusedSubscriptions.size || subscriptionTimer) return;
  subscriptionTimer = setTimeout(
    retrySubscriptions,
    Math.min(LONGEST_PAUSE_MS, FIRST_REFUSAL_PAUSE_MS * 2 ** refusalCount) * (0.5 + Math.random() / 2),
  );
  refusalCount = Math.min(refusalCount + 1, 4);
}

// Gives the socket up unless something is heard in time.
function expectAnswer(ms = ANSWER_TIMEOUT_MS) {
  answerTimer ||= setTimeout(giveUpSocket, ms);
}

function expectFirstAnswer() {
  if (document.hidden) return expectAnswer();
  expectAnswer(Math.min(ANSWER_TIMEOUT_MS, Math.max(MIN_CONNECT_TIMEOUT_MS, CONNECT_TIMEOUT_FACTOR * lastConnectMs)));
}

function ping() {
  if (connection.value !== "on") return;
  send("ping", {});
  expectAnswer();
}

function receive(text) {
  clearTimeout(answerTimer);
  answerTimer = 0;
  const message = JSON.parse(text);
  const projectId = message.projectId ?? message.data?.projectId;
  if (message.event === "auth:ok") return afterSignIn();
  // An error does not name what it refuses, but answers come in the order in which they were asked for.
  if (message.event === "error") noteRefusals([...pendingSubscriptions]);
  // With a reason, the server has ended it. Without, this page has.
  if (message.event === "unsubscribed" && message.data?.reason && projectWatchers.has(projectId))
    noteRefusals([projectId]);
  if (message.event === "subscribed") {
    pendingSubscriptions.delete(projectId);
    refusedSubscriptions.delete(projectId);
    if (!pendingSubscriptions.size && !refusedSubscriptions.size) refusalCount = 0;
    const seq = message.data?.seq ?? message.seq;
    // With afterSeq the missed events follow. Without, the live ones begin here, and what was read before may be older.
    if (!lastSeqs.has(projectId) && Number.isInteger(seq)) {
      lastSeqs.set(projectId, seq);
      notifyListeners({ event: "resync", data: {}, projectId });
    }
    return;
  }
  if (message.event === "resync") {
    lastSeqs.delete(projectId);
    const seq = message.data?.seq ?? message.seq;
    if (Number.isInteger(seq)) lastSeqs.set(projectId, seq);
  } else if (Number.isInteger(message.seq)) {
    if (message.seq <= (lastSeqs.get(projectId) ?? -1)) return;
    lastSeqs.set(projectId, message.seq);
  }
  notifyListeners({ ...message, projectId });
}

function afterSignIn() {
  const again = connection.value === "on";
  connection.value = "on";
  if (!again) lastConnectMs = performance.now() - connectStartedAt;
  failedTries = 0;
  scheduleRenewal();
  if (again) return;
  pingTimer = setInterval(ping, PING_MS);
  for (const projectId of projectWatchers.keys()) subscribe(projectId);
  for (const taskId of taskFollowers.keys()) send("follow", { taskId });
  notifyListeners({ event: "connected", data: {} });
}

// A fresh token before the old one ends keeps the socket open.
function scheduleRenewal() {
  clearTimeout(renewalTimer);
  const stale = currentTokens()?.accessToken;
  const left = (currentTokens()?.expiresAt ?? 0) - Date.now();
  renewalTimer = setTimeout(
    async () => {
      try {
        // Does nothing where another tab has renewed it since.
        if (stale) await refresh(stale);
      } catch {
        return; // Signed out, or away: then the socket closes and connecting again says so.
      }
      send("auth", { token: currentTokens()?.accessToken });
    },
    Math.min(Math.max(left - 60_000, left / 2, 1000), 2 ** 31 - 1),
  );
}

function connect() {
  clearTimeout(retryTimer);
  if (!signedIn.value || socket) return;
  connection.value = "connecting";
  const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`;
  const mine = new WebSocket(url);
  socket = mine;
  connectStartedAt = performance.now();
  expectFirstAnswer();
  mine.onopen = () => send("auth", { token: currentTokens()?.accessToken });
  mine.onmessage = (event) => mine === socket && receive(event.data);
  mine.onclose = (event) => mine === socket && reconnectLater(event.code);
}

// Does not wait until the socket is closed: a frozen link closes nothing.
function giveUpSocket() {
  const old = socket;
  if (!old) return;
  const waited = connection.value === "connecting" && performance.now() - connectStartedAt >= MIN_CONNECT_TIMEOUT_MS;
  reconnectLater(0);
  old.close();
  // That was the pause.
  if (waited && !document.hidden && navigator.onLine) connect();
}

function stopTimers() {
  for (const timer of [retryTimer, renewalTimer, pingTimer, answerTimer, subscriptionTimer]) clearTimeout(timer);
  answerTimer = 0;
  subscriptionTimer = 0;
  refusalCount = 0;
  pendingSubscriptions.clear();
  refusedSubscriptions.clear();
}

async function reconnectLater(code) {
  stopTimers();
  socket = null;
  if (!signedIn.value) return (connection.value = "off");
  connection.value = "connecting";
  failedTries += 1;
  if (code === 4401) {
    try {
      await refresh(currentTokens()?.accessToken);
    } catch {
      // Signed out by now, or the server is away: the next try tells.
    }
  }
  const longest = document.hidden || code === TRY_AGAIN_LATER ? LONGEST_PAUSE_MS : LONGEST_VISIBLE_PAUSE_MS;
  const wait = Math.min(longest, 500 * 2 ** Math.min(failedTries, 7)) * (0.5 + Math.random() / 2);
  clearTimeout(retryTimer);
  retryTimer = setTimeout(connect, wait);
}

function close() {
  stopTimers();
  const old = socket;
  socket = null;
  connection.value = "off";
  lastSeqs.clear();
  old?.close();
}

signedIn.subscribe((yes) => (yes ? connect() : close()));

// Tries at once, where the next try would come by itself after a while.
export function connectNow() {
  failedTries = 0;
  connect();
}

window.addEventListener("online", connectNow);
window.addEventListener("offline", giveUpSocket);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  if (socket) ping();
  else connectNow();
});

// agent:status of agents that belong to no project arrives here.
watchProject(PLATFORM);
