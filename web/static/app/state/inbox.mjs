// What waits for the person who is signed in, in all projects: kept fresh, and shown on the tab while nobody looks.
import { computed, effect, signal } from "@preact/signals";
import { to } from "../browser/routes.mjs";
import { api, retryLater } from "../server/api.mjs";
import { listen } from "../server/live-events.mjs";
import { inOrder } from "../server/loading.mjs";
import { onSignedOut, user } from "../server/session.mjs";
import { mark, t } from "../words/language.mjs";
import { loadServerTexts, questionText, serverText } from "../words/server-texts.mjs";
import { shortened } from "../words/words.mjs";

const NOTIFICATIONS_KEY = "aiworker.notifications";
// Projects that this page does not follow are looked after this often; a project's own events are heard at once.
const RELOAD_MS = 30_000;
// However many events there are, this often at most.
const LOAD_DELAY_MS = 1000;
const MOST_TEXT = 120;
const CHANGES = [
  "task:created",
  "task:status_changed",
  "task:needs_input",
  "question:answered",
  "task-group:status_changed",
  "task-group:updated",
  "task:updated",
  "deploy:failing",
  "deploy:recovered",
  "deploy:completed",
  "project:base_tested",
  "test:quarantined",
  "test:released",
];

export const KINDS = {
  failing: mark("A live version fails"),
  question: mark("Questions"),
  release: mark("Releases"),
  review: mark("Ready to review"),
  failed: mark("Failed"),
  red_base: mark("Default branch is red"),
  quarantined: mark("Tests in quarantine by a rule of yours"),
  parked: mark("At a cap of spending"),
  files: mark("Waiting for their files"),
};
const NOTIFICATION_TITLES = {
  failing: mark("A live version fails"),
  question: mark("A question"),
  release: mark("A release waits"),
  review: mark("Ready to review"),
  failed: mark("A task failed"),
  red_base: mark("The default branch is red"),
  quarantined: mark("A rule put a test into quarantine"),
  parked: mark("A cap is reached"),
  files: mark("A task waits for its files"),
};

// {items, total, isCut} as GET /inbox gives it; null until the first answer.
export const inbox = signal(null);
export const inboxError = signal(null);
export const inboxCount = computed(() => inbox.value?.total || 0);
export const inboxCountText = computed(() => `${inboxCount.value}${inbox.value?.isCut ? "+" : ""}`);

export const itemKey = (item) => {
  const id = item.questionId || item.taskGroupId || item.taskId || item.deploymentId;
  return `${item.kind}:${id || `${item.projectId}:${item.title}`}`;
};
export const itemLink = ({ projectId, taskId, taskGroupId, deploymentId }) => {
  if (taskId) return to.task(projectId, taskId);
  if (taskGroupId) return to.group(projectId, taskGroupId);
  return deploymentId ? to.deployments(projectId) : to.tests(projectId);
};

// How often somebody has signed out.
let signOuts = 0;
let timer = 0;
const turn = inOrder();

async function readItems(isNews) {
  if (!user.value) return;
  const mine = signOuts;
  try {
    const fresh = await api.get("/inbox");
    if (mine !== signOuts || !isNews()) return;
    const known = inbox.value && new Set(inbox.value.items.map(itemKey));
    inbox.value = fresh;
    inboxError.value = null;
    if (known) for (const item of fresh.items) if (!known.has(itemKey(item))) notify(item);
  } catch (error) {
    if (mine !== signOuts || !isNews()) return;
    inboxError.value = error;
    retryLater(error, loadSoon);
  }
}
export const loadInbox = () => turn(readItems);

const loadSoon = () => {
  timer ||= setTimeout(() => {
    timer = 0;
    loadInbox();
  }, LOAD_DELAY_MS);
};

listen(({ event }) => (event === "connected" || event === "resync" || CHANGES.includes(event)) && loadSoon());
setInterval(loadInbox, RELOAD_MS);
effect(() => {
  if (user.value) loadSoon();
});
onSignedOut(() => {
  signOuts += 1;
  inbox.value = null;
});

// Notifications of the browser, only after somebody asked for them here.
const offered = "Notification" in window;
const read = () => offered && Notification.permission === "granted" && localStorage.getItem(NOTIFICATIONS_KEY) === "1";

// "on", "off", "denied" (only the browser's own settings can change that), "missing".
export const notifications = signal(read() ? "on" : "off");
if (!offered) notifications.value = "missing";
else if (Notification.permission === "denied") notifications.value = "denied";

export async function setNotifications(yes) {
  localStorage.setItem(NOTIFICATIONS_KEY, yes ? "1" : "0");
  if (yes && Notification.permission === "default") await Notification.requestPermission();
  notifications.value = Notification.permission === "denied" ? "denied" : read() ? "on" : "off";
}

// A question may be an agent's; every other reason is the platform's.
export const itemDetail = ({ kind, detail, askedBy }) =>
  kind === "question" ? questionText(detail, askedBy) : serverText(detail);

// A notification; null where the browser lets no page show one by itself, as on Android.
function openNotification(title, options) {
  try {
    return new Notification(title, options);
  } catch {
    notifications.value = "missing";
    return null;
  }
}

// Two tabs tell of one thing once: the browser replaces what has the same tag.
async function notify(item) {
  if (notifications.value !== "on" || document.hasFocus()) return;
  await loadServerTexts();
  const body = shortened([item.title, itemDetail(item)].filter(Boolean).join("\n"), MOST_TEXT);
  const shown = openNotification(`${t(NOTIFICATION_TITLES[item.kind])} · ${item.projectName}`, {
    body,
    tag: itemKey(item),
  });
  if (!shown) return;
  shown.onclick = () => {
    window.focus();
    location.hash = itemLink(item);
    shown.close();
  };
}

// The icon of the tab with a dot while something waits.
const link = document.querySelector('link[rel="icon"]');
const plain = link.href;
const dotted = `data:image/svg+xml,${encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#5b5bd6"/>' +
    '<path d="M9 23 16 8l7 15M12 18h8" fill="none" stroke="#fff" stroke-width="2.6" stroke-linecap="round" ' +
    'stroke-linejoin="round"/><circle cx="25" cy="7" r="7" fill="#e5484d" stroke="#fff" stroke-width="2"/></svg>',
)}`;
effect(() => {
  const wanted = inboxCount.value ? dotted : plain;
  if (link.href !== wanted) link.href = wanted;
});
