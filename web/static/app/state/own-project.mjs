// What is found under another project than its own, as by an address put together by hand, is shown in its own.
import { useEffect } from "preact/hooks";
import { replaceRoute } from "../browser/routes.mjs";
import { loadProjects, project, projects } from "./projects.mjs";

// What was found if it is the present project's, else undefined until `addressOf`(found) is gone to.
export function useInOwnProject(found, addressOf) {
  const isAstray = found && found.projectId !== project.value?.id;
  useEffect(() => {
    if (!isAstray) return;
    const isKnown = projects.value?.some(({ id }) => id === found.projectId);
    Promise.resolve(isKnown || loadProjects()).then(() => replaceRoute(addressOf(found)));
  }, [isAstray]);
  return isAstray ? undefined : found;
}
