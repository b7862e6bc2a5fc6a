// One environment: which version serves there, how healthy it was, what ran before, and the way back to it.
import { useState } from "preact/hooks";
import { to } from "../../browser/routes.mjs";
import { Badge, ExternalLink, Listing, Loading, Time } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { PreviewLink } from "../../components/preview-link.mjs";
import { useLiveEvents, usePages, useRead } from "../../server/loading.mjs";
import { hasRole } from "../../server/session.mjs";
import { t } from "../../words/language.mjs";
import { serverText } from "../../words/server-texts.mjs";
import { labelOf, shortId, shortSha } from "../../words/words.mjs";
import { DeploymentLogs } from "./deployment-logs.mjs";
import { HealthStrip } from "./health-strip.mjs";
import { Receipt } from "./receipt.mjs";
import { earlierThan, RollbackDialog } from "./release-rollback.mjs";
import { versionName } from "./release-sentences.mjs";

// shown: what the API says of the environment now, undefined until it is read and for previews.
// progress: what deployments under way say, by their ids.
export function Environment({ environment, projectId, shown, progress }) {
  const pages = usePages("/deployments", "deployments", { projectId, environment });
  const [logs, setLogs] = useState(null);
  const [leaving, setLeaving] = useState(null);
  const items = pages.items || [];
  const isPreview = environment === "preview";
  // A preview is live for its own task; the others have one live version.
  const near = !isPreview && items.find(({ status }) => status === "completed");
  // Below more failed ones than a page has.
  const far = useRead(isPreview || near || !pages.hasMore ? null : "/deployments", {
    projectId,
    environment,
    status: "completed",
    limit: 1,
  });
  const live = near || far.value?.deployments[0];
  const isLive = (one) => (isPreview ? one.status === "completed" : one.id === live?.id);
  const plan = useRead(live && hasRole("maintainer") ? `/deployments/${live.id}/rollback` : null);
  // Known to be impossible, whichever version one would choose.
  const stuck = plan.value && !plan.value.rollback.target && !earlierThan(live, items).length;
  useLiveEvents(
    ({ event }) => event.startsWith("deploy:") && event !== "deploy:progress",
    () => {
      pages.reload();
      far.reload();
      plan.reload();
    },
  );
  return html`<section data-testid=${`environment-${environment}`}>
    ${isPreview && html`<h2>${t("Previews")}</h2>`}
    ${
      !isPreview &&
      html`<${Head}
        environment=${environment}
        live=${live}
        known=${pages.items !== null && (near || !pages.hasMore || far.value)}
        shown=${shown}
        progress=${progress}
        stuck=${stuck && serverText(plan.value.rollback.reason)}
        leave=${() => setLeaving(live)}
        projectId=${projectId}
      />`
    }
    <${Listing} pages=${pages} empty=${isPreview && html`<p class="muted nothing">${nothingOn(environment)}</p>`}>
      <ul class="rows">
        ${items.map(
          (one) =>
            html`<${Row}
              key=${one.id}
              one=${one}
              isLive=${isLive(one)}
              environment=${environment}
              items=${items}
              show=${setLogs}
            />`,
        )}
      </ul>
    <//>
    ${logs && html`<${DeploymentLogs} deployment=${logs} close=${() => setLogs(null)} />`}
    ${
      leaving &&
      html`<${RollbackDialog}
        deployment=${leaving}
        items=${items}
        reload=${pages.reload}
        close=${() => setLeaving(null)}
      />`
    }
  </section>`;
}

const NOTHING = {
  production: () => t("Nothing has been in production yet. Take a group to staging first, then to production."),
  staging: () => t("Nothing has been on staging yet. Deploy a group from its page."),
  preview: () => t("No previews. Each task gets one when its work has been proven."),
};
const nothingOn = (environment) => NOTHING[environment]();

// stuck: why nothing can be gone back to; false if something can.
function Head({ environment, live, known, shown, progress, stuck, leave, projectId }) {
  const { underWay, taskGroup, health } = shown || {};
  return html`<div class="place environment">
    <h2>${labelOf(environment)}</h2>
    ${
      live
        ? html`
          <p class="place-line">
            <b class="version" data-testid=${`version-${environment}`}>${versionName(live)}</b>
            <code>${shortSha(live.commitSha)}</code>
            ${taskGroup && html`<a href=${to.group(projectId, taskGroup.id)}>${taskGroup.name}</a>`}
            <${Time} at=${live.finishedAt} />
          </p>
          ${
            shown?.receipt &&
            html`<p class="place-line" data-testid="receipt">
              <span class="muted">${t("Receipt")}</span> <${Receipt} receipt=${shown.receipt} />
            </p>`
          }
          <p class="serving"><i></i><${ExternalLink} href=${live.url}>${live.url || t("no address")}<//></p>
        `
        : known
          ? html`<p class="muted">${nothingOn(environment)}</p>`
          : html`<${Loading} />`
    }
    ${
      underWay &&
      html`<p class="train-now" data-testid=${`under-way-${environment}`}>
        <i class="pulse"></i>
        ${
          underWay.rollbackOf
            ? t("Going back to {commit}", { commit: shortSha(underWay.commitSha) })
            : t("{commit} is being deployed", { commit: shortSha(underWay.commitSha) })
        }
        ${progress[underWay.id] && html`<span class="muted">${serverText(progress[underWay.id])}</span>`}
      </p>`
    }
    ${live && health && html`<${HealthStrip} spans=${health} testid=${`health-${environment}`} />`}
    ${
      live &&
      hasRole("maintainer") &&
      html`<p class="place-line">
        <button
          type="button"
          class="button small"
          data-testid="deployment-rollback"
          disabled=${!!stuck}
          title=${stuck || undefined}
          onClick=${leave}
        >
          ${t("Roll back")}
        </button>
        ${
          stuck &&
          html`<small data-testid="rollback-impossible">
            ${t("It can't be rolled back: {reason}", { reason: stuck })}
          </small>`
        }
      </p>`
    }
  </div>`;
}

function Row({ one, isLive, environment, items, show }) {
  return html`<li
    class="row deployment"
    data-testid="deployment-row"
    data-deployment-id=${one.id}
    data-environment=${environment}
    data-status=${one.status}
  >
    <span class="row-state"><${Badge} word=${one.status} label=${isLive ? t("Live") : labelOf(one.status)} /></span>
    <span class="row-main">
      <span>
        ${one.version && html`<b>${versionName(one)}</b> `}<code>${shortSha(one.commitSha)}</code>
        ${" "}
        <span class="muted">${one.branch}</span>
      </span>
      ${one.error && html`<small class="bad-text">${serverText(one.error)}</small>`}
      ${
        one.rollbackOf &&
        html`<small>${t("Rolls back {version}", { version: versionOf(one.rollbackOf, items) })}</small>`
      }
    </span>
    <span class="row-acts">
      ${one.taskId && html`<a href=${to.task(one.projectId, one.taskId)}>${t("Task")}</a>`}
      ${one.taskGroupId && html`<a href=${to.group(one.projectId, one.taskGroupId)}>${t("Group")}</a>`}
      ${
        isLive &&
        one.url &&
        html`<${PreviewLink} deploymentId=${environment === "preview" && one.id} href=${one.url}>${t("Open")}<//>`
      }
      <${Time} at=${one.finishedAt || one.startedAt || one.createdAt} />
      <button type="button" class="button small ghost" data-testid="deployment-logs-open" onClick=${() => show(one)}>
        ${t("Logs")}
      </button>
    </span>
  </li>`;
}

function versionOf(id, items) {
  const found = items.find((one) => one.id === id);
  return found ? versionName(found) : shortId(id);
}
