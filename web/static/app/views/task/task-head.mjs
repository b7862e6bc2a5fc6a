// What stands at the top of a task, in its panel and on its page: how it stands, what follows, and what waits for
// somebody.
import { useEffect, useState } from "preact/hooks";
import { route, to } from "../../browser/routes.mjs";
import { useTabTitle } from "../../browser/tab-title.mjs";
import { Badge, SentBackChip } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { withInlineCode } from "../../components/inline-code.mjs";
import { isParked, ParkedChip } from "../../components/parked-task.mjs";
import { Priority } from "../../components/priority.mjs";
import { useInterval, useLiveEvents, useRead } from "../../server/loading.mjs";
import { storeTask } from "../../state/board-tasks.mjs";
import { useInOwnProject } from "../../state/own-project.mjs";
import { serverText } from "../../words/server-texts.mjs";
import { labelOf, shownState } from "../../words/words.mjs";
import { TakenOver } from "../task-work/task-steering.mjs";
import { EditTask, TaskActions } from "./task-actions.mjs";
import { NextStep } from "./task-next-step.mjs";
import { Parked } from "./task-parked.mjs";
import { Questions } from "./task-questions.mjs";

// What passes by and changes nothing of the task.
const PASSING = ["task:log", "task:progress"];
// How often the task is read while a run of it waits for its agent: no event tells that one has come.
const WAITING_MS = 4000;
// And while a run is at work: no event tells of what it uses.
const USING_MS = 15_000;

// {task, error, reload}: the task, kept fresh; task is undefined until it is here. The tab is named after it.
export function useTask(id) {
  const { value, error, reload } = useRead(`/tasks/${id}`);
  const { tab } = route.value;
  const task = useInOwnProject(value?.task, (own) => (tab ? to.taskPage(own, tab) : to.task(own.projectId, id)));
  const mine = new Set((task?.deployments || []).map((one) => one.id));
  const isOf = (data) =>
    data?.taskId === id ||
    mine.has(data?.deploymentId) ||
    (data?.taskGroupId && data.taskGroupId === task?.taskGroup?.id);
  // A group that was just made may hold the task.
  const mayHold = ({ event, data }) =>
    event === "task-group:status_changed" && !data?.oldStatus && task?.state === "approved" && !task.taskGroup;
  useLiveEvents((message) => (isOf(message.data) && !PASSING.includes(message.event)) || mayHold(message), reload);
  const waits = task?.runs?.some(({ startedAt, finishedAt }) => !startedAt && !finishedAt);
  useInterval(WAITING_MS, reload, Boolean(waits));
  const isUsing = task?.runs?.some(({ startedAt, finishedAt }) => startedAt && !finishedAt);
  useInterval(USING_MS, reload, Boolean(isUsing));
  useEffect(() => {
    if (task) storeTask(task);
  }, [task]);
  useTabTitle(task?.title);
  return { task, error, reload };
}

// title: what the heading holds. answered: whether questions that are answered are shown, too.
export function TaskHead({ task, reload, title, answered = false }) {
  const [editing, setEditing] = useState(false);
  return html`
    <header class="task-head">
      <h1>${title}</h1>
      <div class="task-line">
        <${Badge} word=${task.state} shown=${shownState(task)} testid="task-state" />
        ${isParked(task) && html`<${ParkedChip} of=${task.parked} testid="task-parked-chip" />`}
        ${
          task.state === "in_progress" &&
          task.phase &&
          !isParked(task) &&
          html`<span class="chip busy" data-testid="task-phase">${labelOf(task.phase)}</span>`
        }
        <${SentBackChip} round=${task.round} />
        <${Priority} of=${task.priority} />
        <span class="muted">${labelOf(task.priority)}</span>
      </div>
      <div class="task-moves">
        <${NextStep} task=${task} reload=${reload} />
        <${TaskActions} task=${task} reload=${reload} edit=${() => setEditing(true)} />
      </div>
    </header>
    ${
      task.error &&
      html`<p class=${`banner ${task.state === "backlog" ? "ask" : "bad"}`} data-testid="task-error">
        ${withInlineCode(serverText(task.error))}
      </p>`
    }
    <${Parked} task=${task} reload=${reload} />
    <${Questions} task=${task} reload=${reload} answered=${answered} />
    <${TakenOver} task=${task} reload=${reload} />
    ${editing && html`<${EditTask} task=${task} reload=${reload} close=${() => setEditing(false)} />`}
  `;
}
