// A task at a glance, beside the board: how it stands, what it needs, and what the agent did last.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { hasNoModifier, useKeyDown } from "../../browser/keyboard.mjs";
import { go, route, to, withQuery } from "../../browser/routes.mjs";
import { Icon, LoadError, Loading } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { Markdown } from "../../components/markdown.mjs";
import { TaskFilesProvider } from "../../components/pasted-pictures.mjs";
import { PlainDiff } from "../../diff/diff.mjs";
import { api } from "../../server/api.mjs";
import { listen } from "../../server/live-events.mjs";
import { project } from "../../state/projects.mjs";
import { t } from "../../words/language.mjs";
import { shortId } from "../../words/words.mjs";
import { TaskReview } from "../review/task-review.mjs";
import { Comments } from "../task-work/task-discussion.mjs";
import { isReview, Runs } from "../task-work/task-runs.mjs";
import { Steering } from "../task-work/task-steering.mjs";
import { Attachments } from "./task-attachments.mjs";
import { CheckLine } from "./task-checks.mjs";
import { ShortTaskFacts } from "./task-facts.mjs";
import { TaskHead, useTask } from "./task-head.mjs";
import { TaskTabs } from "./task-page.mjs";
import { TaskCaps } from "./task-parked.mjs";
import { Proposals } from "./task-proposals.mjs";

// Panel and page are loaded together: they share most of their parts. So is what a release needs of them.
export const TaskPage = TaskTabs;
export const ReadDiff = PlainDiff;

export function TaskPanel({ id }) {
  const { task, error, reload } = useTask(id);
  const [wide, setWide] = useState(false);
  const close = () => go(withQuery(to.project(project.value.id), route.value.query));
  useKeyDown((event) => {
    if (!hasNoModifier(event) || event.target.closest("input,textarea,select,dialog")) return;
    if (event.key === "Escape") close();
    // On another card, it is that one's.
    if (event.key === "o" && task && !event.target.closest(".card")) go(to.taskPage(task));
  });
  const panel = useRef();
  // At once: a card that is drawn anew meanwhile would have lost the focus.
  useLayoutEffect(() => {
    if (!document.activeElement?.closest(".card")) return undefined;
    panel.current.focus({ preventScroll: true });
    return () =>
      setTimeout(() => {
        if (document.activeElement === document.body) document.querySelector(`.card[data-task-id="${id}"]`)?.focus();
      });
  }, []);
  return html`<aside class=${`panel ${wide ? "wide" : ""}`} aria-label=${t("Task")} tabindex="-1" ref=${panel}>
    <div class="panel-bar">
      <span class="muted">${shortId(id)}</span>
      <span class="grow"></span>
      ${
        task &&
        html`<a
          class="button small"
          href=${to.taskPage(task)}
          title=${`${t("Open its page")} (o)`}
          data-testid="task-open"
        >
          ${t("Open")}
        </a>`
      }
      <button
        type="button"
        class="button ghost square wide-toggle"
        aria-label=${t("Wider")}
        aria-pressed=${wide}
        onClick=${() => setWide(!wide)}
      >
        <${Icon} name="wide" />
      </button>
      <button type="button" class="button ghost square" aria-label=${t("Close")} onClick=${close}>
        <${Icon} name="close" />
      </button>
    </div>
    ${
      task
        ? html`<${TaskFilesProvider} of=${task}><${Glance} task=${task} reload=${reload} /><//>`
        : error
          ? html`<${LoadError} error=${error} again=${reload} />`
          : html`<${Loading} />`
    }
  </aside>`;
}

function Glance({ task, reload }) {
  const title = html`<a href=${to.taskPage(task)}>${task.title}</a>`;
  return html`<div class="panel-body">
    <${TaskHead} task=${task} reload=${reload} title=${title} answered />
    <${LastWords} task=${task} />
    <${CheckLine} task=${task} reload=${reload} />
    <${ShortTaskFacts} task=${task} />
    <${TaskCaps} task=${task} />
    <section>
      <h2>${t("Description")}</h2>
      ${
        task.description
          ? html`<${Beginning}><${Markdown} text=${task.description} /><//>`
          : html`<p class="muted">${t("None was written.")}</p>`
      }
      ${task.notes && html`<h3>${t("Notes")}</h3><${Beginning}><${Markdown} text=${task.notes} /><//>`}
    </section>
    <${Proposals} task=${task} reload=${reload} />
    <${TaskReview} task=${task} reload=${reload} />
    <${Runs} task=${task} />
    ${!task.heldBy && html`<${Steering} task=${task} reload=${reload} />`}
    ${task.attachments?.length > 0 && html`<${Attachments} task=${task} reload=${reload} />`}
    <${Comments} task=${task} reload=${reload} />
  </div>`;
}

// What is long is cut, and shown whole on request: what changed and what the agent did stand below it.
function Beginning({ children }) {
  const [whole, setWhole] = useState(false);
  const [isLong, setLong] = useState(false);
  const content = useRef();
  useEffect(() => {
    const look = new ResizeObserver(([{ target }]) =>
      setLong(target.offsetHeight > target.parentElement.clientHeight + 4),
    );
    look.observe(content.current);
    return () => look.disconnect();
  }, []);
  return html`
    <div class=${whole ? "" : "beginning"}><div ref=${content}>${children}</div></div>
    ${
      (isLong || whole) &&
      html`<button
        type="button"
        class="button small ghost"
        aria-expanded=${whole}
        data-testid="description-whole"
        onClick=${() => setWhole(!whole)}
      >
        ${whole ? t("Show less") : t("Show all of it")}
      </button>`
    }
  `;
}

const VERY_END = Number.MAX_SAFE_INTEGER;

// What the agent said last: the summary of a run that is over, else the end of what it says now.
function LastWords({ task }) {
  const work = (task.runs || []).filter((one) => !isReview(one));
  const run = work.reduce((newest, one) => (newest && newest.id > one.id ? newest : one), null);
  const runId = run?.id;
  const [said, setSaid] = useState(null);
  useEffect(() => {
    let gone = false;
    const read = () =>
      api.get(`/runs/${runId}/transcript`, { before: VERY_END, kind: "text", limit: 1 }).then(
        ({ entries }) => !gone && setSaid(entries[0]?.message ?? null),
        () => {}, // The transcript below tells what is wrong.
      );
    if (!runId || run.summary) return undefined;
    read();
    const end = listen(({ event, data }) => {
      if (event === "connected" || event === "resync") return read();
      if (event !== "task:log" || data.runId !== runId) return undefined;
      const last = data.entries.findLast(({ kind }) => kind === "text");
      return last && setSaid(last.message);
    });
    return () => {
      gone = true;
      end();
    };
  }, [runId, run?.summary]);
  const words = run?.summary || said;
  if (!words) return null;
  return html`<blockquote class="last-words" data-testid="task-last-words">${lastSentence(words)}</blockquote>`;
}

const LONGEST = 280;

// The last paragraph, cut from its beginning where it is long.
function lastSentence(text) {
  const last = text
    .trim()
    .split(/\n\s*\n/)
    .at(-1)
    .trim();
  return last.length > LONGEST ? `…${last.slice(-LONGEST)}` : last;
}
