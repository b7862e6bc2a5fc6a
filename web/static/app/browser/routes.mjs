// Routes live behind `#`, so the server serves one page. route is what the views render; its query is {} or what stands
// after a `?`.
import { signal } from "@preact/signals";

const OF_PROJECT = ["tasks", "groups", "deployments", "tests", "activity", "settings"];
// Without a project in the address, its views are those of the one looked at last.
const OF_ALL = ["home", "inbox", "agents", "jobs", "admin", "models", "spend", "account", "welcome", ...OF_PROJECT];

// The tabs of a task's page, and which one follows from its state; where nothing is said, the agent's work.
export const TASK_TABS = ["review", "work", "details"];
const FIRST_TABS = {
  backlog: "details",
  ready_to_test: "review",
  approved: "review",
  staging: "review",
  production: "review",
  cancelled: "details",
};

const known = (among, view) => (among.includes(view) ? view : "unknown");

function parse() {
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  return { ...parsePath(path), query: Object.fromEntries(new URLSearchParams(search)) };
}

function parsePath(path) {
  const parts = path.split("/").filter(Boolean).map(decode);
  if (parts[0] === "projects" && parts[1] === "new") return { view: "project-new" };
  if (parts[0] === "projects" && parts[1]) {
    const [view, id, tab] = [known(OF_PROJECT, parts[2] || "tasks"), parts[3] || null, parts[4] || null];
    if (view === "tasks" && tab && !TASK_TABS.includes(tab)) return { view: "unknown", projectId: parts[1] };
    return { view, projectId: parts[1], id, tab };
  }
  // Where the platform's forge leads a browser: #/repositories/<owner>/<slug>[/pulls/<number>]
  if (parts[0] === "repositories")
    return { view: "repository", place: parts.slice(1, 3).join("/"), pull: Number(parts[4]) || null };
  if (parts[0] === "projects") return { view: "home" };
  return { view: known(OF_ALL, parts[0] || "home"), id: parts[1] || null };
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const route = signal(parse());

window.addEventListener("hashchange", () => {
  route.value = parse();
});

// What stood after the `?` of each project's board when it was last shown, by the project's id.
const boardQueries = {};
route.subscribe(({ view, projectId, tab, query }) => {
  if (view === "tasks" && projectId && !tab) boardQueries[projectId] = query;
});

export const boardQuery = (projectId) => boardQueries[projectId] || {};

export function go(hash) {
  location.hash = hash;
}

// Goes there in place of the present address: no step to go back to.
export const replaceRoute = (hash) => location.replace(hash);

// The address with these after its `?`; what is empty is left out.
export function withQuery(hash, query) {
  const search = new URLSearchParams(Object.entries(query).filter(([, value]) => value)).toString();
  return search ? `${hash}?${search}` : hash;
}

// Changes what is after the `?` of the present address: no step to go back to.
export function replaceQuery(query) {
  history.replaceState(null, "", withQuery(location.hash.split("?")[0] || "#/", query));
  route.value = parse();
}

export const to = {
  project: (id) => `#/projects/${id}/tasks`,
  task: (projectId, id) => `#/projects/${projectId}/tasks/${id}`,
  taskPage: ({ projectId, id, state }, tab = FIRST_TABS[state] || "work") => `${to.task(projectId, id)}/${tab}`,
  groups: (projectId) => `#/projects/${projectId}/groups`,
  group: (projectId, id) => `#/projects/${projectId}/groups/${id}`,
  deployments: (projectId) => `#/projects/${projectId}/deployments`,
  activity: (projectId) => `#/projects/${projectId}/activity`,
  tests: (projectId) => `#/projects/${projectId}/tests`,
  settings: (projectId) => `#/projects/${projectId}/settings`,
  agent: (id) => `#/agents/${id}`,
};
