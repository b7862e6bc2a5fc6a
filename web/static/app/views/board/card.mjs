// A task on the board: what it is, how it stands, and what it waits for.
import { go, route, to, withQuery } from "../../browser/routes.mjs";
import { classNames, Icon, SentBackChip, Time } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { withInlineCode } from "../../components/inline-code.mjs";
import { lazy } from "../../components/lazy.mjs";
import { isParked, ParkedChip } from "../../components/parked-task.mjs";
import { Priority } from "../../components/priority.mjs";
import { hasRole } from "../../server/session.mjs";
import { agentName } from "../../state/actors.mjs";
import { cardDetails } from "../../state/board-tasks.mjs";
import { willBeCancelled } from "../../state/delayed-cancel.mjs";
import { t } from "../../words/language.mjs";
import { dollars } from "../../words/numbers.mjs";
import { questionText, serverText } from "../../words/server-texts.mjs";
import { labelOf, shortened, shortId, withShortShas } from "../../words/words.mjs";
import { draggedTask, isMovable } from "./card-moves.mjs";
import { selectedTasks, toggleSelected } from "./selected-tasks.mjs";

const MOST_REASON = 200;
const MOST_STEP = 120;
const FilesOverlap = lazy(
  () => import("./changed-files-overlap.mjs"),
  "FilesOverlap",
  () => null,
);
// Waits for something that its error names.
const isKept = (task) => task.error && !isParked(task) && (task.state === "backlog" || task.phase === "queued");

export function Card({ task, on }) {
  const said = cardDetails.value.get(task.id);
  const busy = task.state === "in_progress";
  const picked = selectedTasks.value.has(task.id);
  const pressed = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "o") go(to.taskPage(task));
    if (event.key !== "x" || !hasRole("member")) return;
    event.preventDefault();
    toggleSelected(task.id);
  };
  return html`<div class=${classNames("card-slot", picked && "picked")}>
    ${
      hasRole("member") &&
      html`<input
        type="checkbox"
        class="pick"
        aria-label=${t("Select {title}", { title: task.title })}
        title=${t("Select (x)")}
        checked=${picked}
        data-testid="card-select"
        onChange=${() => toggleSelected(task.id)}
      />`
    }
    <a
    onKeyDown=${pressed}
      draggable=${isMovable(task)}
      onDragStart=${() => (draggedTask.value = task)}
      onDragEnd=${() => (draggedTask.value = null)}
    class=${`card ${on ? "on" : ""}`}
    href=${withQuery(to.task(task.projectId, task.id), route.value.query)}
    data-testid="task-card"
    data-task-id=${task.id}
    aria-current=${on ? "true" : undefined}
  >
    <span class="card-top"><span>${shortId(task.id)}</span><${Time} at=${task.createdAt} /></span>
    <span class="card-title">${task.title}</span>
    ${
      task.state === "failed" &&
      task.error &&
      html`<span class="bad-text" title=${serverText(task.error)}>
        ${withInlineCode(shortened(withShortShas(serverText(task.error)), MOST_REASON))}
      </span>`
    }
    ${
      isKept(task) &&
      html`<span class="muted" title=${serverText(task.error)} data-testid="card-waits">
        ${withInlineCode(shortened(withShortShas(serverText(task.error)), MOST_REASON))}
      </span>`
    }
    ${
      said?.question
        ? html`<span class="card-note ask" data-testid="card-question">
            ${shortened(withShortShas(questionText(said.question, said.askedBy)), MOST_REASON)}
          </span>`
        : said?.step &&
          busy &&
          html`<span class="card-note" data-testid="card-step">${shortened(said.step, MOST_STEP)}</span>`
    }
    ${
      said?.waitsFor.length > 0 &&
      html`<span class="card-note" data-testid="card-after">
        ${t("After {tasks}", { tasks: said.waitsFor.join(", ") })}
      </span>`
    }
    <span class="card-meta">
      <${Priority} of=${task.priority} />
      ${willBeCancelled(task) && html`<span class="chip">${t("Will be cancelled")}</span>`}
      ${isParked(task) && html`<${ParkedChip} of=${task.parked} testid="card-parked" />`}
      ${
        busy &&
        task.phase &&
        !isParked(task) &&
        html`<span class=${`chip ${task.phase === "queued" ? "" : "busy"}`}>${labelOf(task.phase)}</span>`
      }
      <${Checks} of=${said?.checks || {}} />
      ${said?.overlaps.length > 0 && html`<${FilesOverlap} of=${said.overlaps} />`}
      <${SentBackChip} round=${task.round} />
      ${(task.labels || []).slice(0, 3).map((label) => html`<span key=${label} class="chip label">${label}</span>`)}
      ${said?.costUsd > 0 && html`<span class="chip" title=${t("Spent on models")}>${dollars(said.costUsd)}</span>`}
      ${
        task.assignedAgentId &&
        html`<span class="chip agent" title=${task.assignedAgentId}>
          <${Icon} name="agent" />
          <span><bdi>${agentName(task.assignedAgentId)}</bdi></span>
        </span>`
      }
    </span>
  </a></div>`;
}

// of: {passed, failed, …}, the number of checks in each status.
function Checks({ of }) {
  const { passed = 0, failed = 0, running = 0 } = of;
  const all = passed + failed + running;
  if (!all) return null;
  const kind = failed ? "bad" : running ? "busy" : "good";
  const text = failed
    ? t("{failed} of {all} checks failed", { failed, all })
    : t("{passed}/{all} checks", { passed, all });
  return html`<span class=${`chip ${kind}`} data-testid="card-checks">${text}</span>`;
}
