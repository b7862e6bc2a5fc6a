// The output of a deployment's processes.
import { useState } from "preact/hooks";
import { LoadError, Loading, useStickToEnd } from "../../components/controls.mjs";
import { Dialog } from "../../components/dialogs.mjs";
import { html } from "../../components/html.mjs";
import { useLiveEvents, useRead } from "../../server/loading.mjs";
import { t } from "../../words/language.mjs";
import { serverText } from "../../words/server-texts.mjs";
import { clockTime, fullTime, labelOf, shortId, shortSha } from "../../words/words.mjs";

export function DeploymentLogs({ deployment, close }) {
  const { value, error, reload } = useRead(`/deployments/${deployment.id}/logs`);
  const [progress, setProgress] = useState(null);
  useLiveEvents(({ event, data }) => {
    if (data?.deploymentId !== deployment.id) return false;
    if (event === "deploy:progress") setProgress(data.message);
    return true;
  }, reload);
  return html`<${Dialog}
    title=${t("Logs of {version} on {environment}", {
      version: shortSha(deployment.commitSha) || shortId(deployment.id),
      environment: labelOf(deployment.environment).toLowerCase(),
    })}
    close=${close}
    wide
  >
    ${progress && html`<p class="muted">${serverText(progress)}</p>`}
    ${
      error
        ? html`<${LoadError} error=${error} again=${reload} />`
        : value
          ? html`<${TimedLines} entries=${value.entries} testid="deployment-logs" />`
          : html`<${Loading} />`
    }
    <footer><button type="button" class="button" onClick=${reload}>${t("Read again")}</button></footer>
  <//>`;
}

// entries: [{at, text}].
function TimedLines({ entries, testid }) {
  const box = useStickToEnd(entries);
  return html`<div
    class="lines timed"
    ...${box}
    tabindex="0"
    role="group"
    aria-label=${t("Output")}
    data-testid=${testid}
  >
    ${!entries.length && html`<span class="muted">${t("It has written nothing.")}</span>`}
    ${entries.map(
      ({ at, text }, index) =>
        html`<div key=${index}>
          <time datetime=${at} title=${fullTime(at)}>${clockTime(at)}</time>
          <code>${text}</code>
        </div>`,
    )}
  </div>`;
}
