// What runs where, how healthy it is, what ran before, and going back to it.
import { Page } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { useInterval, useLiveEvents, useRead } from "../../server/loading.mjs";
import { project } from "../../state/projects.mjs";
import { t } from "../../words/language.mjs";
import { useDeployProgress } from "./deploy-progress.mjs";
import { Environment } from "./release-environment.mjs";

// The platform looks at what runs every 10 s, and says nothing about it while it is well.
const LOOK_MS = 20_000;

export function Deployments() {
  const { id: projectId } = project.value;
  const { value, reload } = useRead(`/projects/${projectId}/environments`);
  const progress = useDeployProgress();
  useLiveEvents(({ event }) => event.startsWith("deploy:") && event !== "deploy:progress", reload);
  useInterval(LOOK_MS, reload);
  const place = (environment) =>
    html`<${Environment}
      key=${environment}
      environment=${environment}
      projectId=${projectId}
      shown=${value?.environments.find((one) => one.environment === environment)}
      progress=${progress}
    />`;
  return html`<${Page}
    title=${t("Deployments")}
    lead=${t("What runs where. A new version takes over only when it is healthy.")}
  >
    <div class="environments">${["production", "staging"].map(place)}</div>
    ${place("preview")}
  <//>`;
}
