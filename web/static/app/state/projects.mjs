// The projects that the caller may see, shared by the picker and the views.
import { computed, effect, signal } from "@preact/signals";
import { route } from "../browser/routes.mjs";
import { readAll } from "../server/loading.mjs";
import { onSignedOut, signedIn } from "../server/session.mjs";

const CHOSEN = "aiworker.project";

export const projects = signal(null);
export const projectsError = signal(null);

// The project of the address, else the one looked at last, else the newest.
export const projectId = computed(() => route.value.projectId || lastProject() || null);
export const project = computed(() => projects.value?.find(({ id }) => id === projectId.value) ?? null);

function lastProject() {
  const known = projects.value || [];
  const kept = sessionStorage.getItem(CHOSEN);
  return (known.find(({ id }) => id === kept) || known[0])?.id;
}

// How often a project was taken from another reply, or somebody signed out.
let changes = 0;

export async function loadProjects() {
  const before = changes;
  try {
    const found = await readAll("/projects", "projects");
    // First, or what a lower role may not do would be offered until it has come.
    if (found.some(({ restricted }) => restricted)) (await import("./project-role.mjs")).followRole(project);
    // What was read may be older than what is here by now.
    if (before !== changes) {
      if (signedIn.value) await loadProjects();
      return;
    }
    // What is the same is not drawn anew.
    if (JSON.stringify(found) !== JSON.stringify(projects.value)) projects.value = found;
    projectsError.value = null;
  } catch (error) {
    projectsError.value = error;
  }
}

// Takes a project as a reply gave it; a new one comes first.
export function storeProject(fresh) {
  changes += 1;
  const known = projects.value || [];
  const at = known.findIndex(({ id }) => id === fresh.id);
  projects.value = at < 0 ? [fresh, ...known] : known.map((old) => (old.id === fresh.id ? { ...old, ...fresh } : old));
}

route.subscribe(({ projectId: id }) => id && sessionStorage.setItem(CHOSEN, id));
// Also the one that no address names: a project that somebody else makes is newer, and would take its place.
effect(() => project.value && sessionStorage.setItem(CHOSEN, project.value.id));
onSignedOut(() => {
  changes += 1;
  projects.value = null;
});
