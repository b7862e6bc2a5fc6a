// Named filters of a project's board, kept in this browser.
import { signal } from "@preact/signals";

const KEY = "aiworker.views";

const read = () => {
  try {
    return JSON.parse(localStorage.getItem(KEY)) || {};
  } catch {
    return {};
  }
};

// Project id → [{name, query}].
const all = signal(read());

const keep = (projectId, views) => {
  all.value = { ...read(), [projectId]: views };
  localStorage.setItem(KEY, JSON.stringify(all.value));
};

export const viewsOf = (projectId) => all.value[projectId] || [];
export const dropView = (projectId, name) =>
  keep(
    projectId,
    viewsOf(projectId).filter((view) => view.name !== name),
  );

// One of the same name is replaced.
export const saveView = (projectId, name, query) =>
  keep(projectId, [...viewsOf(projectId).filter((view) => view.name !== name), { name, query }]);
