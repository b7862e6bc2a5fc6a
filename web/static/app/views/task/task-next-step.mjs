// The next step of a task: reads what it depends on besides the task, shows it, and does it.
import { useCallback, useEffect, useState } from "preact/hooks";
import { go, route, to } from "../../browser/routes.mjs";
import { Button } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { lazy, NoPlaceholder } from "../../components/lazy.mjs";
import { api } from "../../server/api.mjs";
import { useInterval, useLiveEvents, useRead } from "../../server/loading.mjs";
import { hasRole, user } from "../../server/session.mjs";
import { project } from "../../state/projects.mjs";
import { t, withoutDirectionMarks } from "../../words/language.mjs";
import { LIVE_GROUP_STATES } from "../../words/states.mjs";
import { idOf } from "../../words/words.mjs";
import { nextStep } from "./next-step.mjs";

const NewGroup = lazy(() => import("../releases/groups.mjs"), "NewGroup", NoPlaceholder);
const MOST = 200;
const APPROVED = ["approved", "staging", "production"];
const isLive = ({ status }) => LIVE_GROUP_STATES.includes(status);
const isWaiting = ({ state, phase }) => state === "backlog" || phase === "queued";

// What was read, read again with every higher number of `times`; null until the first answer.
function useAgain(path, query, times) {
  const { value, reload } = useRead(path, query);
  useEffect(() => {
    if (times) reload();
  }, [times]);
  return value;
}

// Tasks that this one depends on and that are not approved yet.
function useUnmet(task, times) {
  const [unmet, setUnmet] = useState([]);
  const ids = isWaiting(task) ? (task.dependsOn || []).map(idOf) : [];
  useEffect(() => {
    let gone = false;
    Promise.all(ids.map((id) => api.get(`/tasks/${id}`).catch(() => null))).then((replies) => {
      const tasks = replies.filter(Boolean).map((reply) => reply.task);
      if (!gone) setUnmet(tasks.filter(({ state }) => !APPROVED.includes(state)));
    });
    return () => {
      gone = true;
    };
  }, [ids.join(" "), times]);
  return unmet;
}

// How many approved tasks no group holds; null while it is not known, and where it does not matter.
function useApproved({ projectId, state, taskGroup }, times) {
  const asks = state === "approved" && !taskGroup && hasRole("maintainer");
  const tasks = useAgain(asks ? "/tasks" : null, { projectId, state: "approved", limit: MOST }, times)?.tasks;
  const groups = useAgain(asks ? "/task-groups" : null, { projectId, limit: MOST }, times)?.taskGroups;
  if (!tasks || !groups) return null;
  const held = new Set(groups.filter(isLive).flatMap(({ taskIds }) => taskIds));
  return tasks.filter(({ id }) => !held.has(id)).length;
}

function useFix({ projectId, state, rolledBackAt }, times) {
  const asks = state === "production" && rolledBackAt;
  const found = useAgain(asks ? "/tasks" : null, { projectId, label: "fix" }, times)?.tasks || [];
  return found.find((one) => one.createdAt > rolledBackAt && one.state !== "cancelled") ?? null;
}

// What is said of agents, groups and other tasks is read again when one of them changes. Nothing is heard of agents
// that work for no project yet.
const CHANGES = [
  "task:status_changed",
  "task:created",
  "task-group:status_changed",
  "task-group:updated",
  "agent:status",
];
const AGAIN_MS = 20_000;

function useFresh(task, reload) {
  useLiveEvents(({ event, data }) => CHANGES.includes(event) && data?.taskId !== task.id, reload);
  useInterval(AGAIN_MS, reload, isWaiting(task));
}

function useAround(task) {
  const { separateApprover } = project.value || {};
  const [times, setTimes] = useState(0);
  useFresh(
    task,
    useCallback(() => setTimes((before) => before + 1), []),
  );
  return {
    may: hasRole,
    isOwn: separateApprover && [user.value.id, user.value.username].includes(idOf(task.createdBy)),
    project: project.value,
    drivers: useAgain(isWaiting(task) ? "/drivers" : null, {}, times)?.drivers ?? null,
    unmet: useUnmet(task, times),
    approved: useApproved(task, times),
    fix: useFix(task, times),
  };
}

// Where a person writes, in the panel or the page that holds the button.
const FIELDS = {
  answer: "[data-testid=question-option], [data-testid=question-answer]",
  handBack: "[data-testid=hand-back-note]",
  parked: "[data-testid=task-parked] :is(input, button)",
};

const fixOf = ({ projectId, title }) => ({
  projectId,
  title: withoutDirectionMarks(t("Fix or revert “{title}”", { title })).slice(0, 200),
  description: withoutDirectionMarks(
    t("Production was rolled back. The changes of “{title}” are still in the default branch.", { title }),
  ),
  labels: ["fix"],
});

export function NextStep({ task, reload }) {
  const { key, text, href: place, does, verb } = nextStep(task, useAround(task));
  const { projectId, id, tab } = route.value;
  // Who is there already is told what to do, and led nowhere.
  const href = tab && place === to.taskPage({ projectId, id }, tab) ? null : place;
  const [grouping, setGrouping] = useState(false);
  if (!text) return null;
  const acts = {
    group: async () => setGrouping(true),
    retry: () => api.post(`/tasks/${task.id}/retry`).finally(reload),
    fix: async () => go(to.task(task.projectId, (await api.post("/tasks", fixOf(task))).task.id)),
  };
  const focus = (event) => {
    const field = event.currentTarget.closest(".panel, .task-page").querySelector(FIELDS[does]);
    field?.focus();
    field?.scrollIntoView({ block: "center" });
  };
  const kind = verb ? "small" : "primary";
  const label = verb || text;
  return html`<div class="next-step" data-testid="next-step" data-step=${key}>
    ${verb || !(href || does) ? html`<span>${text}</span>` : null}
    ${href && html`<a class=${`button ${kind}`} href=${href} data-testid="next-step-go">${label}</a>`}
    ${
      FIELDS[does] &&
      html`<button type="button" class=${`button ${kind}`} data-testid="next-step-go" onClick=${focus}>
        ${label}
      </button>`
    }
    ${
      acts[does] &&
      html`<${Button} kind=${kind} testid=${does === "retry" ? "task-retry" : "next-step-go"} act=${acts[does]}>
        ${label}
      <//>`
    }
    ${grouping && html`<${NewGroup} projectId=${task.projectId} close=${() => setGrouping(false)} />`}
  </div>`;
}
