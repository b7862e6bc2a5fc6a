// Named filters of a project's board, kept in this browser.
import { signal } from "@preact/signals";
import { readJson } from "../../browser/storage.mjs";

const KEY = "aiworker.views";

const read = () => readJson(localStorage, KEY) || {};

// Project id → [{name, query}].
const all = signal(read());

// change: makes the project's views of those that are kept now, which another window may have changed.
const keep = (projectId, change) => {
  const kept = read();
  all.value = { ...kept, [projectId]: change(kept[projectId] || []) };
  localStorage.setItem(KEY, JSON.stringify(all.value));
};

addEventListener("storage", ({ key }) => {
  if (key === KEY || key === null) all.value = read();
});

const without = (views, name) => views.filter((view) => view.name !== name);

export const savedFilters = (projectId) => all.value[projectId] || [];
export const deleteFilter = (projectId, name) => keep(projectId, (views) => without(views, name));

// One of the same name is replaced.
export const saveFilter = (projectId, name, query) =>
  keep(projectId, (views) => [...without(views, name), { name, query }]);
