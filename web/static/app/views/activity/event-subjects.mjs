// What an event of a project is about: a task, a group, or either by what was deployed of it.
import { useEffect, useRef, useState } from "preact/hooks";
import { to } from "../../browser/routes.mjs";
import { toastError } from "../../browser/toasts.mjs";
import { html } from "../../components/html.mjs";
import { api } from "../../server/api.mjs";
import { t } from "../../words/language.mjs";
import { shortId } from "../../words/words.mjs";

// Events may come faster than lists should be read for what is new in them.
const PAUSE_MS = 2000;
const LISTS = { "/tasks": "tasks", "/task-groups": "taskGroups", "/deployments": "deployments" };

const idsOf = ({ data }) => [data?.taskId, data?.lastTaskId, data?.taskGroupId, data?.deploymentId].filter(Boolean);

async function newest(projectId) {
  const read = async ([path, name]) => (await api.get(path, { projectId, limit: 200 }))[name];
  const lists = await Promise.all(Object.entries(LISTS).map(read));
  return lists.flat().map((one) => [one.id, one]);
}

// The project's newest tasks, groups and deployments by their ids, once events name one. projectId: null reads none.
export function useEventSubjects(projectId, events) {
  const [known, setKnown] = useState(new Map());
  const asked = useRef({ ids: new Set(), next: 0 });
  useEffect(() => {
    const { ids, next } = asked.current;
    const unknown = (projectId && events ? events.flatMap(idsOf) : []).filter((id) => !ids.has(id));
    const read = () => {
      for (const id of unknown) ids.add(id);
      asked.current.next = performance.now() + PAUSE_MS;
      newest(projectId)
        .then((found) => setKnown((old) => new Map([...old, ...found])))
        .catch(toastError);
    };
    const timer = unknown.length ? setTimeout(read, Math.max(0, next - performance.now())) : 0;
    return () => clearTimeout(timer);
  }, [projectId, events]);
  return known;
}

// known: as useSubjects returns it.
export function EventSubject({ event: { projectId, data }, known }) {
  const { deploymentId, title, ...named } = data || {};
  const { taskId, lastTaskId, taskGroupId } = { ...known.get(deploymentId), ...named };
  const id = taskId || lastTaskId;
  if (id)
    return html` · <a href=${to.task(projectId, id)}>
      ${title || known.get(id)?.title || t("Task {id}", { id: shortId(id) })}
    </a>`;
  return taskGroupId
    ? html` · <a href=${to.group(projectId, taskGroupId)}>
        ${known.get(taskGroupId)?.name || t("Group {id}", { id: shortId(taskGroupId) })}
      </a>`
    : null;
}
