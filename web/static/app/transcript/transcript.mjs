// The transcript of a run: live at its end, searchable, filtered by kind, with the agent's plan above it.
import { useEffect, useMemo, useState } from "preact/hooks";
import { Icon, LoadError, Loading } from "../components/controls.mjs";
import { html } from "../components/html.mjs";
import { t, tn } from "../words/language.mjs";
import { integer as grouped } from "../words/numbers.mjs";
import { useTranscript } from "./read-transcript.mjs";
import { PlanSteps, TranscriptEntry } from "./transcript-entry.mjs";
import { entryKinds, isError, rowsOf, withResults } from "./transcript-rows.mjs";
import { useVisibleRows } from "./visible-rows.mjs";

const NOTHING = [];

export function Transcript({ taskId, runId }) {
  const [typed, setTyped] = useState("");
  const [q, setQ] = useState("");
  const [kind, setKind] = useState("");
  const whole = useTranscript(taskId, runId);
  const { rows, plan } = useMemo(() => rowsOf(whole.entries || NOTHING), [whole.entries]);
  useEffect(() => {
    const timer = setTimeout(() => setQ(typed.trim()), 250);
    return () => clearTimeout(timer);
  }, [typed]);
  if (whole.error && !whole.entries) return html`<${LoadError} error=${whole.error} />`;
  if (!whole.entries) return html`<${Loading} />`;
  const shared = { kind, live: whole.live, progress: whole.progress };
  return html`<div class="transcript">
    <${Tools} typed=${typed} setTyped=${setTyped} kind=${kind} setKind=${setKind} whole=${whole} />
    ${
      plan &&
      html`<details class="plan-now" open>
        <summary>
          ${t("Plan · {done} of {all} done", { done: plan.filter((one) => one.done).length, all: plan.length })}
        </summary>
        <${PlanSteps} steps=${plan} />
      </details>`
    }
    ${
      q
        ? html`<${Found} key=${`${q} ${kind}`} taskId=${taskId} runId=${runId} q=${q} whole=${rows} ...${shared} />`
        : html`<${Rows} key=${kind} rows=${rows} reading=${whole.reading} ...${shared} />`
    }
  </div>`;
}

function Tools({ typed, setTyped, kind, setKind, whole }) {
  const { leftOut } = whole;
  const count = whole.entries.length;
  return html`<div class="transcript-tools">
    <label class="search">
      <${Icon} name="search" />
      <span class="sr">${t("Search the transcript")}</span>
      <input
        type="search"
        placeholder=${t("Search the transcript")}
        value=${typed}
        maxlength="200"
        data-testid="transcript-search"
        onInput=${(event) => setTyped(event.target.value)}
      />
    </label>
    <label>
      <span class="sr">${t("Kind of entry")}</span>
      <select value=${kind} data-testid="transcript-kind" onChange=${(event) => setKind(event.target.value)}>
        ${entryKinds().map(([value, text]) => html`<option key=${value} value=${value}>${text}</option>`)}
      </select>
    </label>
    <small data-testid="transcript-count">
      ${tn(count, "{number} entry", "{number} entries", { number: grouped(count) })}
      ${leftOut > 0 && `, ${t("{number} more were left out", { number: grouped(leftOut) })}`}
    </small>
  </div>`;
}

// What the server finds, with the results of the calls.
function Found({ taskId, runId, q, whole, ...shared }) {
  const { entries, error, reading } = useTranscript(taskId, runId, q);
  const rows = useMemo(() => withResults(rowsOf(entries || NOTHING).rows, whole), [entries, whole]);
  if (error && !entries) return html`<${LoadError} error=${error} />`;
  if (!entries) return html`<${Loading} />`;
  return html`<${Rows} rows=${rows} reading=${reading} q=${q} ...${shared} />`;
}

function Rows({ rows: all, kind, q, live, reading, progress }) {
  const rows = useMemo(
    // Without a search, plans are shown above: the newest takes the place of the others.
    () => all.filter((row) => (kind ? row.kind === kind : q || row.kind !== "plan" || !row.entry.details?.steps)),
    [all, kind, q],
  );
  const { box, from, to, atEnd, onScroll, onClick, showEarlier, jump, reveal } = useVisibleRows(rows);
  const [at, setAt] = useState(null);
  const errors = useMemo(() => rows.filter(isError), [rows]);
  const next = errors.find(({ seq }) => seq > (at ?? -1)) || errors[0];
  const toError = () => {
    setAt(next.seq);
    reveal(next.seq);
  };
  return html`<div class="log-frame">
    ${
      next &&
      html`<p class="log-errors">
        <span>${tn(errors.length, "{count} error", "{count} errors")}</span>
        <button type="button" class="button small" data-testid="transcript-next-error" onClick=${toError}>
          ${at === null ? t("Show the first one") : t("Next error")}
        </button>
      </p>`
    }
    <div
      class="log-box"
      ref=${box}
      tabindex="0"
      role="log"
      aria-label=${t("Agent log")}
      onScroll=${onScroll}
      onClick=${onClick}
    >
      ${
        from > 0 &&
        html`<button type="button" class="button small ghost" data-testid="transcript-earlier" onClick=${showEarlier}>
          ${t("Show earlier ({number})", { number: grouped(from) })}
        </button>`
      }
      <ol class="log">
        ${rows
          .slice(from, to)
          .map((row) => html`<${TranscriptEntry} key=${row.seq} row=${row} live=${live} isFound=${row.seq === at} />`)}
      </ol>
      ${!rows.length && html`<p class="muted">${nothing({ q, kind, live, reading })}</p>`}
      ${reading && html`<${Loading} />`}
      ${live && to === rows.length && html`<${Live} progress=${progress} />`}
    </div>
    ${
      !atEnd &&
      html`<button type="button" class="button small jump" data-testid="transcript-jump" onClick=${jump}>
        ${
          to < rows.length
            ? t("Jump to latest ({number} more)", { number: grouped(rows.length - to) })
            : t("Jump to latest")
        }
      </button>`
    }
  </div>`;
}

function nothing({ q, kind, live, reading }) {
  if (reading) return "";
  if (q) return t("Nothing in this run contains “{words}”.", { words: q });
  if (kind) return t("This run has no entries of this kind.");
  return live
    ? t("The agent has said nothing yet. What it does appears here as it happens.")
    : t("This run left no log, or it was deleted because of its age.");
}

const Live = ({ progress }) =>
  html`<p class="log-live">
    <span class="pulse"></span>
    ${progress?.message || t("Live")}
    ${progress?.total > 0 && ` · ${t("{done} of {all}", { done: progress.done ?? 0, all: progress.total })}`}
  </p>`;
