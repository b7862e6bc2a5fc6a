// The views that make and change a project, loaded together: they share the fields of its form.
import { html } from "../../components/html.mjs";
import { NewProject } from "./new-project.mjs";
import { ProjectSettings } from "./project-settings.mjs";

// projectId: null to make one.
export const ProjectViews = ({ projectId }) =>
  projectId ? html`<${ProjectSettings} key=${projectId} />` : html`<${NewProject} />`;
