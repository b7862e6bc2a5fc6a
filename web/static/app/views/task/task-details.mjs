// All that is on record of a task: its text, facts, people, runs and what they cost, files, proposals, caps, timeline.
import { to } from "../../browser/routes.mjs";
import { Badge, Time } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { Markdown } from "../../components/markdown.mjs";
import { agentName } from "../../state/actors.mjs";
import { duration } from "../../transcript/transcript-rows.mjs";
import { t } from "../../words/language.mjs";
import { Timeline } from "../task-work/task-discussion.mjs";
import { ReviewMark, SpentOnRun, stateOf, Usage } from "../task-work/task-runs.mjs";
import { Attachments } from "./task-attachments.mjs";
import { TaskFacts } from "./task-facts.mjs";
import { TaskCaps } from "./task-parked.mjs";
import { Proposals } from "./task-proposals.mjs";

export const TaskDetails = ({ task, reload }) =>
  html`<div class="details-tab">
  <section>
    <h2>${t("Description")}</h2>
    ${
      task.description
        ? html`<${Markdown} text=${task.description} />`
        : html`<p class="muted">${t("None was written.")}</p>`
    }
    ${task.notes && html`<h3>${t("Notes")}</h3><${Markdown} text=${task.notes} />`}
  </section>
  <${TaskFacts} task=${task} />
  <${TaskCaps} task=${task} />
  <${Attachments} task=${task} reload=${reload} />
  <${Proposals} task=${task} reload=${reload} />
  <${RunTable} task=${task} />
  <${Timeline} task=${task} begin />
</div>`;

const took = ({ startedAt, finishedAt }) =>
  startedAt && finishedAt ? duration(Date.parse(finishedAt) - Date.parse(startedAt)) : "";

function RunTable({ task }) {
  const runs = task.runs || [];
  if (!runs.length) return null;
  return html`<section>
    <div class="section-head"><h2>${t("Runs")}</h2><${SpentOnRun} of=${task.spent} /></div>
    <div class="table-wrap" tabindex="0" role="group" aria-label=${t("Runs")}>
      <table data-testid="task-runs">
        <thead>
          <tr>
            <th>${t("Round")}</th>
            <th>${t("State")}</th>
            <th>${t("Agent")}</th>
            <th>${t("Driver")}</th>
            <th>${t("Started")}</th>
            <th>${t("Took")}</th>
            <th>${t("Used")}</th>
          </tr>
        </thead>
        <tbody>
          ${runs.map(
            (run) =>
              html`<tr key=${run.id}>
                <td>${run.round}</td>
                <td><${Badge} word=${stateOf(run)} /> <${ReviewMark} run=${run} /></td>
                <td>${run.agentId && html`<a href=${to.agent(run.agentId)}>${agentName(run.agentId)}</a>`}</td>
                <td>${[run.driver, run.model].filter(Boolean).join(" · ")}</td>
                <td><${Time} at=${run.startedAt} /></td>
                <td>${took(run)}</td>
                <td><${Usage} of=${run.usage} /></td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </section>`;
}
