// Where a group runs, and the one place where it is sent on: what that will do, who may, and what is missing otherwise.
import { useState } from "preact/hooks";
import { Badge, Button, ExternalLink, Time } from "../../components/controls.mjs";
import { Confirm } from "../../components/dialogs.mjs";
import { html } from "../../components/html.mjs";
import { api } from "../../server/api.mjs";
import { t } from "../../words/language.mjs";
import { serverText } from "../../words/server-texts.mjs";
import { labelOf, shortSha } from "../../words/words.mjs";
import { useDeployProgress } from "./deploy-progress.mjs";
import { versionName, whatDeployingDoes, whatIsMissing } from "./release-sentences.mjs";

const ENVIRONMENTS = ["staging", "production"];
const BEING_BUILT = ["pending", "merging"];

// plan: what the API plans for the group, null until it is read.
export function ReleaseTargets({ group, plan, reload }) {
  const [asking, setAsking] = useState(null);
  const progress = useDeployProgress();
  const all = [...(group.deployments || [])].sort((a, b) => (a.id < b.id ? 1 : -1));
  // What a rollback took back goes out again only if a person says so, at each step anew.
  const deploy = async (environment, body) => {
    try {
      await api.post(`/task-groups/${group.id}/deploy-${environment}`, body);
    } catch (error) {
      if (error.field !== "acceptRolledBack") throw error;
      setAsking({ environment, why: error.message });
    } finally {
      await reload();
    }
  };
  return html`<section>
    <h2>${t("Where it runs")}</h2>
    <div class="places">
      ${ENVIRONMENTS.map(
        (environment) =>
          html`<${Place}
            key=${environment}
            environment=${environment}
            group=${group}
            latest=${all.find((one) => one.environment === environment)}
            plan=${plan?.environments.find((one) => one.environment === environment)}
            tasks=${plan?.taskCount}
            mayAct=${plan?.mayAct}
            progress=${progress}
            act=${() => (environment === "production" ? setAsking({ environment }) : deploy(environment))}
          />`,
      )}
    </div>
    ${
      asking &&
      html`<${Asked}
        key=${asking.why}
        asking=${asking}
        group=${group}
        plan=${plan}
        deploy=${deploy}
        close=${() => setAsking((now) => (now === asking ? null : now))}
      />`
    }
  </section>`;
}

function Place({ environment, group, latest, plan, tasks, mayAct, progress, act }) {
  return html`<div class="place" data-testid=${`group-${environment}`}>
    <h3>${labelOf(environment)}</h3>
    ${
      latest
        ? html`
          <p class="place-line">
            <${Badge}
              word=${latest.status}
              label=${latest.status === "completed" ? t("Live") : labelOf(latest.status)}
            />
            ${latest.version && html`<b>${versionName(latest)}</b>`}
            <code>${shortSha(latest.commitSha)}</code>
            <${Time} at=${latest.finishedAt || latest.startedAt} />
          </p>
          ${latest.error && html`<p class="bad-text">${serverText(latest.error)}</p>`}
          ${latest.status === "in_progress" && html`<p class="muted">${serverText(progress[latest.id])}</p>`}
          ${
            latest.url &&
            latest.status === "completed" &&
            html`<p><${ExternalLink} href=${latest.url}>${latest.url}<//></p>`
          }
        `
        : html`<p class="muted">${t("Not deployed yet.")}</p>`
    }
    ${
      plan &&
      html`<${Next}
        environment=${environment}
        group=${group}
        plan=${plan}
        tasks=${tasks}
        mayAct=${mayAct}
        act=${act}
      />`
    }
  </div>`;
}

function Next({ environment, group, plan, tasks, mayAct, act }) {
  const [missing] = plan.missing;
  if (missing?.kind === "under_way") return null;
  const about = { kind: missing ? "" : "primary", disabled: !!missing, act };
  return html`<div class="place-next">
    <p data-testid=${`plan-${environment}`}>
      ${whatDeployingDoes(plan, tasks)} ${" "}
      ${!missing && BEING_BUILT.includes(group.status) && t("That begins as soon as it is merged and tested.")}
    </p>
    ${missing && html`<p class="muted" data-testid=${`missing-${environment}`}>${whatIsMissing(missing)}</p>`}
    ${
      !missing &&
      plan.accepts &&
      html`<p class="bad-text">${t("It brings back what was rolled back: you are asked to accept that.")}</p>`
    }
    ${
      mayAct
        ? html`<p>${
            environment === "production"
              ? html`<${Button} ...${about} testid="group-deploy-production">${t("Deploy to production")}<//>`
              : html`<${Button} ...${about} testid="group-deploy-staging">${t("Deploy to staging")}<//>`
          }</p>`
        : html`<p class="muted">${t("Maintainers of the project and administrators may deploy it.")}</p>`
    }
  </div>`;
}

function Asked({ asking, group, plan, deploy, close }) {
  const { environment, why } = asking;
  const planned = plan?.environments.find((one) => one.environment === environment);
  if (why)
    return html`<${Confirm}
      title=${t("Bring back what was rolled back?")}
      verb=${t("Deploy all the same")}
      isLoss=${false}
      testid="group-accept-rolled-back"
      act=${() => deploy(environment, { acceptRolledBack: true })}
      close=${close}
    >
      <p>${why}</p>
    <//>`;
  return html`<${Confirm}
    title=${t("Deploy to production?")}
    verb=${t("Deploy")}
    kind="primary"
    testid="group-deploy-production-confirm"
    act=${() => deploy(environment)}
    close=${close}
  >
    ${planned && html`<p><b>${whatDeployingDoes(planned, plan.taskCount)}</b></p>`}
    <p>
      ${t("Exactly the commit that runs on staging, {commit}, goes there and takes over once it is healthy.", {
        commit: shortSha(group.headSha),
      })}
    </p>
  <//>`;
}
