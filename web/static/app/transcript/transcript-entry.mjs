// One row of a transcript, by its kind. Text goes through Markdown's sanitizer; all else is text as it is.
import { Component } from "preact";
import { useLayoutEffect, useMemo, useState } from "preact/hooks";
import { classNames, Icon } from "../components/controls.mjs";
import { html } from "../components/html.mjs";
import { showInvisible } from "../components/invisible-characters.mjs";
import { Markdown } from "../components/markdown.mjs";
import { actorName } from "../state/actors.mjs";
import { t } from "../words/language.mjs";
import { clockTime, fullTime } from "../words/words.mjs";
import { callSummary, commandOf, duration, inputText, patchLines, stepsOf, toolName } from "./transcript-rows.mjs";

const LINES_SHOWN = 14;
const CHARACTERS_SHOWN = 4000;
const MOST_PATCH_LINES_OPEN = 40;

// Folded content, drawn only while it is open. `draw` is a function. wanted: it opens once this is true.
function Fold({ summary, begin = false, draw, wanted = false, ...rest }) {
  const [open, setOpen] = useState(begin || wanted);
  useLayoutEffect(() => {
    if (wanted) setOpen(true);
  }, [wanted]);
  return html`<details open=${open} onToggle=${(event) => setOpen(event.currentTarget.open)} ...${rest}>
    <summary>${summary}</summary>
    ${open && draw()}
  </details>`;
}

// A program's output in monospace; of a long one the end, until all of it is asked for.
function Output({ text, testid }) {
  const [all, setAll] = useState(false);
  const lines = useMemo(() => text.replace(/\n$/, "").split("\n"), [text]);
  const long = lines.length > LINES_SHOWN || text.length > CHARACTERS_SHOWN;
  const shown = showInvisible(
    all || !long ? lines.join("\n") : lines.slice(-LINES_SHOWN).join("\n").slice(-CHARACTERS_SHOWN),
  );
  return html`
    ${
      long &&
      html`<button type="button" class="button small ghost" aria-expanded=${all} onClick=${() => setAll(!all)}>
        ${all ? t("Show the end only") : t("Show all {count} lines", { count: lines.length })}
      </button>`
    }
    <pre class="output" tabindex="0" role="group" aria-label=${t("Output")} data-testid=${testid}>${shown}</pre>
  `;
}

function Patch({ lines }) {
  return html`<pre class="patch" tabindex="0" role="group" aria-label=${t("Changes")} data-testid="transcript-diff">
    ${lines.map(({ kind, text }, at) => html`<span key=${at} class=${kind}>${showInvisible(text) || " "}</span>`)}
  </pre>`;
}

const countOf = (lines, kind) => lines.filter((line) => line.kind === kind).length;

function Edit({ patch }) {
  const lines = useMemo(() => patchLines(patch), [patch]);
  const changed = countOf(lines, "plus") + countOf(lines, "minus");
  const summary = html`
    ${t("Changes")} <b class="plus">+${countOf(lines, "plus")}</b> <b class="minus">−${countOf(lines, "minus")}</b>
  `;
  return html`<${Fold}
    class="call-part"
    summary=${summary}
    begin=${changed <= MOST_PATCH_LINES_OPEN}
    draw=${() => html`<${Patch} lines=${lines} />`}
  />`;
}

// How a call ended: [class, what a screen reader says, sign].
function mark(result, live) {
  if (!result) return live ? ["busy", t("Running"), null] : ["quiet", t("No result was reported"), "–"];
  return result.details?.ok === false || result.level === "error"
    ? ["bad", t("Failed"), "✕"]
    : ["good", t("Done"), "✓"];
}

function Call({ row, live, isFound }) {
  const { entry, result } = row;
  const command = showInvisible(commandOf(entry) ?? "");
  const diff = typeof entry.details?.diff === "string" ? entry.details.diff : null;
  const [tone, said, sign] = mark(result, live);
  const exit = result?.details?.exitCode;
  const summary = html`
    <span class=${`call-mark ${tone}`} title=${said}>
      ${sign ?? html`<span class="pulse"></span>`}<span class="sr">${said}</span>
    </span>
    <b>${toolName(entry)}</b>
    <code class="gist">${showInvisible(callSummary(entry))}</code>
    ${Number.isInteger(exit) && exit !== 0 && html`<span class="chip bad">${t("exit {code}", { code: exit })}</span>`}
    <small>${duration(result?.details?.durationMs)}</small>
  `;
  const draw = () => {
    const input = inputText(entry);
    return html`<div class="call-body">
      ${command && html`<pre class="command" tabindex="0" role="group" aria-label=${t("Command")}>$ ${command}</pre>`}
      ${
        input &&
        html`<pre class="output" tabindex="0" role="group" aria-label=${t("Input")} data-testid="call-input">
        ${showInvisible(input)}
      </pre>`
      }
      ${
        result
          ? html`
            ${Number.isInteger(exit) && html`<p class="muted">${t("Exit code {code}", { code: exit })}</p>`}
            ${result.message ? html`<${Output} text=${result.message} testid="call-output" />` : null}
            ${!result.message && html`<p class="muted">${t("It printed nothing.")}</p>`}
          `
          : html`<p class="muted">${said}.</p>`
      }
    </div>`;
  };
  return html`
    <${Fold} class="call" summary=${summary} draw=${draw} wanted=${isFound} />
    ${diff && html`<${Edit} patch=${diff} />`}
  `;
}

export function PlanSteps({ steps }) {
  return html`<ol class="plan" data-testid="transcript-plan">
    ${steps.map(
      ({ text, done }, at) =>
        html`<li key=${at} class=${done ? "done-step" : ""}>
          <span class="box">${done && html`<${Icon} name="check" />`}</span>
          <span>${text}<span class="sr">${" "}${done ? t("(done)") : t("(to do)")}</span></span>
        </li>`,
    )}
  </ol>`;
}

function Message({ entry }) {
  const author = entry.details?.author;
  return html`<div class="said">
    <p class="comment-head">
      <b>${author ? actorName(author) : t("A person")}</b>
      ${entry.details?.interrupts && html`<span class="chip">${t("Interrupts")}</span>`}
    </p>
    <${Markdown} text=${entry.message} />
  </div>`;
}

function Thinking({ entry }) {
  const line = entry.message.trim().split("\n")[0];
  const summary = html`<span class="muted">${t("Thinking")}</span> <span class="gist muted">${line}</span>`;
  return html`<${Fold}
    class="thinking"
    summary=${summary}
    draw=${() => html`<div class="muted"><${Markdown} text=${entry.message} /></div>`}
  />`;
}

function body({ row, live, isFound }) {
  const { entry, kind } = row;
  if (kind === "text") return html`<${Markdown} text=${entry.message} />`;
  if (kind === "thinking") return html`<${Thinking} entry=${entry} />`;
  if (kind === "message") return html`<${Message} entry=${entry} />`;
  if (kind === "plan" && stepsOf(entry)) return html`<${PlanSteps} steps=${stepsOf(entry)} />`;
  // Calls of older runners have neither an id nor details.
  if (entry.kind === "tool" && (entry.callId || entry.details))
    return html`<${Call} row=${row} live=${live} isFound=${isFound} />`;
  if (entry.kind === "result")
    return html`<pre tabindex="0" role="group" aria-label=${t("Output")}>${showInvisible(entry.message)}</pre>`;
  return html`<pre>${showInvisible(entry.message)}</pre>`;
}

const LEVELS = { error: "erro", warn: "warn", warning: "warn" };

// Drawn again only if it is another entry or has got its result: a stretch has hundreds of them.
export class TranscriptEntry extends Component {
  shouldComponentUpdate({ row, live, isFound }) {
    const before = this.props;
    if (isFound !== before.isFound || live !== before.live) return true;
    return row.entry !== before.row.entry || row.result !== before.row.result;
  }

  render({ row, live, isFound }) {
    const { entry } = row;
    const kind = entry.kind || "log";
    return html`<li
      class=${classNames(
        "entry",
        kind,
        LEVELS[entry.level],
        (entry.callId || entry.details) && "told",
        isFound && "found",
      )}
      data-seq=${entry.seq}
      data-kind=${kind}
      data-testid="transcript-entry"
    >
      <time datetime=${entry.at} title=${fullTime(entry.at)}>${clockTime(entry.at)}</time>
      <div class="entry-body">${body({ row, live, isFound })}</div>
    </li>`;
  }
}
