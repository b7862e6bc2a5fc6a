// The views of delivery, loaded together: they share most of what they need.
import { html } from "../../components/html.mjs";
import { Deployments } from "./deployments.mjs";
import { Group } from "./group.mjs";
import { Groups } from "./groups.mjs";

// view: groups or deployments. id: of a group, null for all.
export function Releases({ view, id, projectId }) {
  if (view === "deployments") return html`<${Deployments} key=${projectId} />`;
  return id ? html`<${Group} key=${id} id=${id} />` : html`<${Groups} key=${projectId} />`;
}
