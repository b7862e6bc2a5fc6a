// What the entries of a transcript are shown as: a call joined with its result, the newest plan apart. No drawing here.
import { t } from "../words/language.mjs";
import { oneDecimal } from "../words/numbers.mjs";

// The kinds to choose from, as rows have them: a result belongs to its call.
export const entryKinds = () => [
  ["", t("Everything")],
  ["text", t("What it says")],
  ["thinking", t("Thinking")],
  ["tool", t("Tool calls")],
  ["message", t("Messages")],
  ["plan", t("Plans")],
  ["log", t("Log")],
];

const LONGEST_GIST = 160;
// Where tools of the known programs say what a call is about, the most telling first.
const TELLING = "command cmd file_path filePath path pattern query q url question title".split(" ");

// {rows, plan}: rows are {seq, kind, entry, result}; plan is the newest list of steps, null if there is none.
export function rowsOf(entries) {
  const rows = [];
  const calls = new Map();
  let plan = null;
  for (const entry of entries) {
    const kind = entry.kind || "log";
    const call = kind === "result" && entry.callId ? calls.get(entry.callId) : null;
    if (call && !call.result) {
      call.result = entry;
      continue;
    }
    const row = { seq: entry.seq, kind: kind === "result" ? "tool" : kind, entry, result: null };
    if (kind === "tool" && entry.callId) calls.set(entry.callId, row);
    if (kind === "plan" && stepsOf(entry)) plan = stepsOf(entry);
    rows.push(row);
  }
  return { rows, plan };
}

// Whether something went wrong: a call that failed, or an entry that says so.
export const isError = ({ entry, result }) =>
  result?.details?.ok === false || result?.level === "error" || entry.level === "error";

// Results of calls that a search has left out are found in the whole transcript.
export function withResults(rows, whole) {
  const calls = new Map(whole.filter(({ result }) => result).map((row) => [row.seq, row.result]));
  return rows.map((row) => (row.result || !calls.has(row.seq) ? row : { ...row, result: calls.get(row.seq) }));
}

export function stepsOf(entry) {
  const steps = entry.details?.steps;
  if (!Array.isArray(steps) || !steps.length) return null;
  return steps.map((step) => ({ text: String(step?.text ?? step ?? ""), done: step?.done === true }));
}

// The tool's own name: "ask_user_question" of "mcp__aiworker__ask_user_question".
export const toolName = (entry) =>
  String(entry.details?.name || t("Tool"))
    .split("__")
    .at(-1);

export const commandOf = ({ details }) => {
  const command = details?.command ?? details?.input?.command ?? details?.input?.cmd;
  if (Array.isArray(command)) return command.join(" ");
  return typeof command === "string" && command ? command : null;
};

// One line that says what a call is about.
export function callSummary(entry) {
  const input = entry.details?.input;
  const told = commandOf(entry) ?? TELLING.map((name) => input?.[name]).find((value) => typeof value === "string");
  const line = String(told ?? entry.message ?? "")
    .trim()
    .split("\n")[0];
  return line.length > LONGEST_GIST ? `${line.slice(0, LONGEST_GIST)}…` : line;
}

// A tool's input as text, without what is shown in another way; null if nothing is left.
export function inputText({ details }) {
  const input = details?.input;
  if (input === undefined || input === null || input === "") return null;
  if (typeof input !== "object") return String(input);
  const left = Object.entries(input).filter(
    ([name]) => !(["command", "cmd"].includes(name) || (details.diff && typeof input[name] === "string")),
  );
  return left.length ? JSON.stringify(Object.fromEntries(left), null, 2) : null;
}

// Rounded before it is divided: no remainder is a whole minute or hour.
export function duration(ms) {
  if (!Number.isFinite(ms)) return "";
  if (Math.round(ms) < 1000) return t("{number} ms", { number: Math.round(ms) });
  if (Math.round(ms / 100) < 600) return t("{number} s", { number: oneDecimal(ms / 1000) });
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600)
    return t("{minutes} min {seconds} s", { minutes: Math.floor(seconds / 60), seconds: seconds % 60 });
  const minutes = Math.round(ms / 60_000);
  return t("{hours} h {minutes} min", { hours: Math.floor(minutes / 60), minutes: minutes % 60 });
}

// The lines of a unified diff as {kind, text}; kind: head, hunk, plus, minus or same.
export function patchLines(patch) {
  const lines = patch.replace(/\n$/, "").split("\n");
  let inHunk = false;
  return lines.map((text, at) => {
    const begins = text.startsWith("--- ") && lines[at + 1]?.startsWith("+++ ");
    if (text.startsWith("diff --git ") || begins) inHunk = false;
    if (text.startsWith("@@")) {
      inHunk = true;
      return { kind: "hunk", text };
    }
    if (!inHunk) return { kind: "head", text };
    if (text.startsWith("+")) return { kind: "plus", text };
    return { kind: text.startsWith("-") ? "minus" : "same", text };
  });
}
