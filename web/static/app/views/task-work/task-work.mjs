// The work on a task, round by round: what was asked, and how the agents went about it.
import { useState } from "preact/hooks";
import { storedDraft } from "../../browser/drafts.mjs";
import { Badge, Time } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { Markdown } from "../../components/markdown.mjs";
import { hasRole } from "../../server/session.mjs";
import { actorName } from "../../state/actors.mjs";
import { Transcript } from "../../transcript/transcript.mjs";
import { t, tn } from "../../words/language.mjs";
import { questionText } from "../../words/server-texts.mjs";
import { labelOf } from "../../words/words.mjs";
import { commentDraft, CommentEntry, CommentForm } from "./task-discussion.mjs";
import { roundsOf } from "./task-rounds.mjs";
import { isReview, RunLine, SpentOnRun, stateOf, waitsForText } from "./task-runs.mjs";
import { isWorking, Steering } from "./task-steering.mjs";

export function TaskWork({ task, reload }) {
  const rounds = roundsOf(task);
  const writes = !task.heldBy && isWorking(task);
  return html`<div class="chapters" data-testid="task-log">
    <p class="run-line"><${SpentOnRun} of=${task.spent} /></p>
    ${rounds.map(
      (one) => html`<${Chapter} key=${one.round} task=${task} chapter=${one} isLast=${one === rounds.at(-1)} />`,
    )}
    ${!task.heldBy && html`<${Steering} task=${task} reload=${reload} />`}
    ${
      hasRole("member") &&
      (!writes || storedDraft(commentDraft(task))) &&
      html`<${CommentForm} task=${task} reload=${reload} />`
    }
  </div>`;
}

function Chapter({ task, chapter, isLast }) {
  const { round, runs, asked } = chapter;
  const [open, setOpen] = useState(isLast);
  const latest = runs.findLast((run) => !isReview(run)) || runs.at(-1);
  return html`<details
    class="chapter"
    open=${open}
    onToggle=${(event) => event.target === event.currentTarget && setOpen(event.currentTarget.open)}
    data-testid="chapter"
    data-round=${round}
  >
    <summary>
      <h2>${t("Round {number}", { number: round })}</h2>
      ${latest && html`<${Badge} word=${stateOf(latest)} />`}
      ${runs.length > 0 && html`<span class="muted">${tn(runs.length, "{count} run", "{count} runs")}</span>`}
      <${Time} at=${runs[0]?.startedAt || asked[0]?.at} />
    </summary>
    ${
      open &&
      html`<div class="chapter-body">
        <${Asked} task=${task} of=${asked} isFirst=${round === 1} />
        ${runs.map((run) => html`<${RunOfRound} key=${run.id} task=${task} run=${run} isLatest=${run === latest} />`)}
        ${!runs.length && html`<p class="muted">${isLast ? waitsForText(task) : t("No run began in this round.")}</p>`}
      </div>`
    }
  </details>`;
}

// What the agents of a round were asked: the task itself, what it was sent back for, messages, and their questions.
function Asked({ task, of, isFirst }) {
  if (!of.length && !isFirst) return null;
  const newest = of.at(-1);
  return html`<section class="asked-of" data-testid="chapter-asked">
    <h3>${t("What was asked")}</h3>
    ${
      isFirst &&
      html`<div class="said">
        <p class="comment-head"><b>${actorName(task.createdBy)}</b> <${Time} at=${task.createdAt} /></p>
        <p><b>${task.title}</b></p>
        ${task.description && html`<${Markdown} text=${task.description} />`}
      </div>`
    }
    ${
      of.length > 0 &&
      html`<ul class="comments">
        ${of.map(
          (one) =>
            html`<li key=${one.comment?.id || one.question.id}>
              ${
                one.comment
                  ? html`<${CommentEntry} of=${one.comment} open=${one === newest} />`
                  : html`<${Question} of=${one.question} />`
              }
            </li>`,
        )}
      </ul>`
    }
  </section>`;
}

const Question = ({ of }) => html`
  <p class="comment-head">
    <b>${of.askedBy === "platform" ? t("The platform asked") : t("The agent asked")}</b>
    ${" "}<${Time} at=${of.askedAt} /> <span class="chip">${labelOf(of.status)}</span>
  </p>
  <${Markdown} text=${questionText(of.question, of.askedBy)} />
  ${
    of.response &&
    html`<div class="said">
      <p class="comment-head">
        <b>${of.respondedBy === "default" ? t("Nobody answered in time") : actorName(of.respondedBy)}</b>
        <${Time} at=${of.respondedAt} />
      </p>
      <${Markdown} text=${of.response} />
    </div>`
  }
`;

// The newest run of a round shows what it did; of the others one asks.
function RunOfRound({ task, run, isLatest }) {
  const [wanted, setWanted] = useState(false);
  return html`<section class="run" data-testid="run" data-run-id=${run.id}>
    <${RunLine} run=${run} />
    ${
      isLatest || wanted
        ? html`<${Transcript} taskId=${task.id} runId=${run.id} />`
        : html`<button type="button" class="button small" data-testid="run-show" onClick=${() => setWanted(true)}>
          ${t("Show what it did")}
        </button>`
    }
  </section>`;
}
