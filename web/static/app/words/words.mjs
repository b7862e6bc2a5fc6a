// How the API's words, times and ids are said to a person. No state but the clock.
import { signal } from "@preact/signals";
import { intl, locale, mark, t } from "./language.mjs";
import { PRIORITIES } from "./states.mjs";

// The most urgent first, as the page shows them.
export const BY_URGENCY = [...PRIORITIES].reverse();

export function labelOf(word) {
  if (!word) return "";
  const text = String(word).replace(/[_-]/g, " ");
  return t(text.charAt(0).toUpperCase() + text.slice(1));
}

// A field as the API names it, for the middle of a sentence.
const FIELDS = {
  prNumber: mark("pull request"),
  prUrl: mark("pull request"),
  headSha: mark("commit"),
  assignedAgentId: mark("agent"),
  previewUrl: mark("preview"),
  branchName: mark("branch"),
  heldBy: mark("holder"),
  acceptedFindings: mark("accepted findings"),
  acceptedLosses: mark("accepted losses"),
  attachments: mark("attachments"),
  caps: mark("caps"),
  checks: mark("checks"),
  comments: mark("comments"),
  dependsOn: mark("dependencies"),
  description: mark("description"),
  driver: mark("driver"),
  error: mark("error"),
  giteaRepoUrl: mark("address of the repository"),
  labels: mark("labels"),
  laterPush: mark("later push"),
  limits: mark("limits"),
  mayChangeTestSetup: mark("may change test setup"),
  model: mark("model"),
  notes: mark("notes"),
  parked: mark("parked"),
  phase: mark("phase"),
  pictures: mark("pictures"),
  priority: mark("priority"),
  proposals: mark("proposals"),
  questions: mark("questions"),
  redBase: mark("tests of the default branch"),
  requiredCapabilities: mark("required capabilities"),
  rolledBackAt: mark("rolled back at"),
  round: mark("round"),
  runs: mark("runs"),
  title: mark("title"),
};
export const fieldLabel = (name) => t(FIELDS[name] || name.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase());

// The state of a task or a group as a person reads it: what a rollback took back is not in production any more.
export function shownState({ state, status, rolledBackAt }) {
  const named = state ?? status;
  return named === "production" && rolledBackAt ? "rolled_back" : named;
}

// What a state means for the eye: quiet, busy, ask, good, done or bad.
const TONES = {
  quiet: [
    "backlog",
    "pending",
    "cancelled",
    "superseded",
    "offline",
    "queued",
    "draining",
    "ended",
    "skipped",
    "withdrawn",
    "dismissed",
  ],
  busy: [
    "in_progress",
    "provisioning",
    "merging",
    "deploying_staging",
    "deploying_production",
    "busy",
    "running",
    "starting",
    "preparing",
    "ready",
    "deleting",
    "working",
    "verifying",
  ],
  ask: [
    "needs_input",
    "ready_to_test",
    "waiting",
    "rolled_back",
    "conflict",
    "flaky",
    "warned",
    "held",
    "parked",
    "proposed",
  ],
  good: ["approved", "merged", "staging", "active", "completed", "passed", "idle", "done", "answered", "accepted"],
  done: ["production"],
  bad: ["failed", "error", "lost"],
};
const TONE = new Map(Object.entries(TONES).flatMap(([tone, words]) => words.map((word) => [word, tone])));
export const tone = (word) => TONE.get(word) || "quiet";

// Read in a render, it makes relative times move on by themselves.
export const currentTime = signal(Date.now());
setInterval(() => {
  currentTime.value = Date.now();
}, 15_000);

const STEPS = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];

export function relativeTime(at) {
  const seconds = Math.round((Date.parse(at) - Math.max(currentTime.value, Date.now())) / 1000);
  if (Number.isNaN(seconds)) return "";
  const relative = intl("RelativeTimeFormat", { numeric: "auto", style: "narrow" });
  for (const [unit, size] of STEPS) {
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit);
  }
  return seconds > 5 ? relative.format(seconds, "second") : t("just now");
}

export const fullTime = (at) => (at ? new Date(at).toLocaleString(locale()) : "");
export const clockTime = (at) => (at ? new Date(at).toLocaleTimeString(locale(), { hourCycle: "h23" }) : "");
// The last 8 hex digits of an id: the first ones are a clock and look alike.
export const shortId = (id) => (id ? String(id).replaceAll("-", "").slice(-8) : "");
export const shortSha = (commit) => (commit ? commit.slice(0, 8) : "");
// A message as a list shows it: whole commit ids in it are cut to what tells them apart.
export const withShortShas = (text) => String(text ?? "").replace(/\b[0-9a-f]{40}\b/g, shortSha);
// At most this many characters of a text.
export const shortened = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
export const splitList = (text) =>
  text
    .split(/[\n,]/)
    .map((part) => part.trim())
    .filter(Boolean);

export const idOf = (thing) => (thing && typeof thing === "object" ? thing.id : thing);

// The platform's own forge serves git, not pages: its addresses are for `git clone`.
export const isOwnForge = (text) => webUrl(text) !== null && new URL(text).pathname.startsWith("/git/");

// Only a web address becomes a link; anything else (javascript:, data:) stays text.
export function webUrl(text) {
  try {
    const url = new URL(text);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
  } catch {
    return null;
  }
}
