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
const SILENCE_MS = 10_000;
// While somebody looks, a new connection is given up sooner: what froze under it may come back at any moment. It has
// this many times what the last one took, and at least so long.
const PATIENCE = 5;
const LEAST_PATIENCE_MS = 1500;
// The longest pause between two tries: while somebody looks, and when nobody does or the server asked for patience.
const LOOKED_AT_MS = 2000;
const LONGEST_MS = 30_000;
const TRY_AGAIN_LATER = 1013;
// The first pause before a subscription that was refused is asked for again; each further one is twice as long.
const REFUSED_MS = 2000;
const listeners = new Set();
const seen = new Map(); // project id → the last seq that was heard
const wanted = new Map(); // project id → how many views want it
const followed = new Map(); // task id → how many views want it
const asked = new Set(); // projects whose subscription was asked for and not answered yet
const refused = new Set(); // wanted projects of which the server tells nothing
let socket = null;
let tries = 0;
let retry = 0;
let renewal = 0;
let pinging = 0;
let silence = 0;
let asking = 0;
let refusals = 0;
let begun = 0;
let took = LONGEST_MS;

// Calls listener({event, data, projectId, seq, at}) for each message. `resync` means: read the state again over REST.
export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell(message) {
  for (const listener of [...listeners]) listener(message);
}

function send(event, data) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ event, data }));
}

function subscribe(projectId) {
  asked.add(projectId);
  refused.delete(projectId);
  const data = { projectId };
  if (seen.has(projectId)) data.afterSeq = seen.get(projectId);
  send("subscribe", data);
}

// Counts a wish for `id` and returns what ends it; says so to the server on the first and after the last.
function want(wishes, id, begin, end) {
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
  want(wanted, id, subscribe, (gone) => {
    seen.delete(gone);
    asked.delete(gone);
    refused.delete(gone);
    send("unsubscribe", { projectId: gone });
  });

export const followTask = (id) =>
  want(
    followed,
    id,
    (taskId) => send("follow", { taskId }),
    (taskId) => send("unfollow", { taskId }),
  );

// Asks for each refused subscription again. Called, too, when this person is likely to be granted one.
export function retrySubscriptions() {
  clearTimeout(asking);
  asking = 0;
  for (const projectId of [...refused]) subscribe(projectId);
}

// What happens until one is granted is not told, so that the state is read again then.
function refuse(projectIds) {
  for (const projectId of projectIds) {
    asked.delete(projectId);
    seen.delete(projectId);
    refused.add(projectId);
  }
  if (!refused.size || asking) return;
  asking = setTimeout(retrySubscriptions, Math.min(LONGEST_MS, REFUSED_MS * 2 ** refusals) * (0.5 + Math.random() / 2));
  refusals = Math.min(refusals + 1, 4);
}

// Gives the socket up unless something is heard in time.
function awaitWord(ms = SILENCE_MS) {
  silence ||= setTimeout(drop, ms);
}

function awaitFirstWord() {
  if (document.hidden) return awaitWord();
  awaitWord(Math.min(SILENCE_MS, Math.max(LEAST_PATIENCE_MS, PATIENCE * took)));
}

function ping() {
  if (connection.value !== "on") return;
  send("ping", {});
  awaitWord();
}

function heard(text) {
  clearTimeout(silence);
  silence = 0;
  const message = JSON.parse(text);
  const projectId = message.projectId ?? message.data?.projectId;
  if (message.event === "auth:ok") return ready();
  // An error does not name what it refuses, but answers come in the order in which they were asked for.
  if (message.event === "error") refuse([...asked]);
  // With a reason, the server has ended it. Without, this page has.
  if (message.event === "unsubscribed" && message.data?.reason && wanted.has(projectId)) refuse([projectId]);
  if (message.event === "subscribed") {
    asked.delete(projectId);
    refused.delete(projectId);
    if (!asked.size && !refused.size) refusals = 0;
    const seq = message.data?.seq ?? message.seq;
    // With afterSeq the missed events follow. Without, the live ones begin here, and what was read before may be older.
    if (!seen.has(projectId) && Number.isInteger(seq)) {
      seen.set(projectId, seq);
      tell({ event: "resync", data: {}, projectId });
    }
    return;
  }
  if (message.event === "resync") {
    seen.delete(projectId);
    const seq = message.data?.seq ?? message.seq;
    if (Number.isInteger(seq)) seen.set(projectId, seq);
  } else if (Number.isInteger(message.seq)) {
    if (message.seq <= (seen.get(projectId) ?? -1)) return;
    seen.set(projectId, message.seq);
  }
  tell({ ...message, projectId });
}

function ready() {
  const again = connection.value === "on";
  connection.value = "on";
  if (!again) took = performance.now() - begun;
  tries = 0;
  scheduleRenewal();
  if (again) return;
  pinging = setInterval(ping, PING_MS);
  for (const projectId of wanted.keys()) subscribe(projectId);
  for (const taskId of followed.keys()) send("follow", { taskId });
  tell({ event: "connected", data: {} });
}

// A fresh token before the old one ends keeps the socket open.
function scheduleRenewal() {
  clearTimeout(renewal);
  const stale = currentTokens()?.accessToken;
  const left = (currentTokens()?.expiresAt ?? 0) - Date.now();
  renewal = setTimeout(
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
  clearTimeout(retry);
  if (!signedIn.value || socket) return;
  connection.value = "connecting";
  const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`;
  const mine = new WebSocket(url);
  socket = mine;
  begun = performance.now();
  awaitFirstWord();
  mine.onopen = () => send("auth", { token: currentTokens()?.accessToken });
  mine.onmessage = (event) => mine === socket && heard(event.data);
  mine.onclose = (event) => mine === socket && lost(event.code);
}

// Does not wait until the socket is closed: a frozen link closes nothing.
function drop() {
  const old = socket;
  if (!old) return;
  const waited = connection.value === "connecting" && performance.now() - begun >= LEAST_PATIENCE_MS;
  lost(0);
  old.close();
  // That was the pause.
  if (waited && !document.hidden && navigator.onLine) connect();
}

function stopTimers() {
  for (const timer of [retry, renewal, pinging, silence, asking]) clearTimeout(timer);
  silence = 0;
  asking = 0;
  refusals = 0;
  asked.clear();
  refused.clear();
}

async function lost(code) {
  stopTimers();
  socket = null;
  if (!signedIn.value) return (connection.value = "off");
  connection.value = "connecting";
  tries += 1;
  if (code === 4401) {
    try {
      await refresh(currentTokens()?.accessToken);
    } catch {
      // Signed out by now, or the server is away: the next try tells.
    }
  }
  const longest = document.hidden || code === TRY_AGAIN_LATER ? LONGEST_MS : LOOKED_AT_MS;
  const wait = Math.min(longest, 500 * 2 ** Math.min(tries, 7)) * (0.5 + Math.random() / 2);
  clearTimeout(retry);
  retry = setTimeout(connect, wait);
}

function close() {
  stopTimers();
  const old = socket;
  socket = null;
  connection.value = "off";
  seen.clear();
  old?.close();
}

signedIn.subscribe((yes) => (yes ? connect() : close()));

// Tries at once, where the next try would come by itself after a while.
export function connectNow() {
  tries = 0;
  connect();
}

window.addEventListener("online", connectNow);
window.addEventListener("offline", drop);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  if (socket) ping();
  else connectNow();
});

// agent:status of agents that belong to no project arrives here.
watchProject(PLATFORM);
