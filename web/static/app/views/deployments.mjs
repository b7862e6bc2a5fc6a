// What runs where, what ran before, and going back to it.
import { useState } from "preact/hooks";
import { api } from "../api.mjs";
import { html } from "../html.mjs";
import { useLive, usePages, useRead } from "../loading.mjs";
import {
  Badge,
  CheckField,
  Lines,
  Listing,
  Loading,
  OutLink,
  Page,
  SelectField,
  Time,
  Trouble,
  useForm,
} from "../parts/controls.mjs";
import { Confirm, Dialog } from "../parts/dialogs.mjs";
import { PreviewLink } from "../parts/visit.mjs";
import { project } from "../projects.mjs";
import { to } from "../routes.mjs";
import { may } from "../session.mjs";
import { ENVIRONMENTS } from "../states.mjs";
import { failed, told } from "../toasts.mjs";
import { say, sha, shortId } from "../words.mjs";

const PRODUCTION_FIRST = [...ENVIRONMENTS].reverse();
// Was healthy once, so it may be gone back to.
const EARLIER = ["superseded", "rolled_back", "completed"];

export function Deployments() {
  const { id: projectId } = project.value;
  return html`<${Page} title="Deployments" lead="What runs where. A new version takes over only when it is healthy.">
    ${PRODUCTION_FIRST.map(
      (environment) => html`<${Environment} key=${environment} environment=${environment} projectId=${projectId} />`,
    )}
  <//>`;
}

function Environment({ environment, projectId }) {
  const pages = usePages("/deployments", "deployments", { projectId, environment });
  const [shown, setShown] = useState(null);
  const [leaving, setLeaving] = useState(null);
  const items = pages.items || [];
  // A preview is live for its own task; the others have one live version.
  const isLive = (one) =>
    one.status === "completed" &&
    (environment === "preview" || one === items.find(({ status }) => status === "completed"));
  const live = environment !== "preview" && items.find(isLive);
  const plan = useRead(live && may("maintainer") ? `/deployments/${live.id}/rollback` : null);
  // Known to be impossible, whichever version one would choose.
  const isStuck = plan.value && !plan.value.rollback.target && !earlierThan(live, items).length;
  useLive(
    ({ event }) => event.startsWith("deploy:") && event !== "deploy:progress",
    () => {
      pages.reload();
      plan.reload();
    },
  );
  return html`<section data-testid=${`environment-${environment}`}>
    <div class="section-head">
      <h2>${environment === "preview" ? "Previews" : say(environment)}</h2>
      ${
        live &&
        html`<span class="serving">
          <i></i>Serving <code>${sha(live.commitSha)}</code>
          ${" "}
          <${OutLink} href=${live.url}>${live.url || "no address"}<//>
        </span>`
      }
    </div>
    <${Listing} pages=${pages} empty=${html`<p class="muted nothing">${NOTHING[environment]}</p>`}>
      <ul class="rows">
        ${items.map(
          (one) =>
            html`<li
              key=${one.id}
              class="row deployment"
              data-testid="deployment-row"
              data-deployment-id=${one.id}
              data-environment=${environment}
              data-status=${one.status}
            >
              <${Badge} word=${one.status} label=${isLive(one) ? "Live" : say(one.status)} />
              <span class="row-main">
                <span><code>${sha(one.commitSha)}</code> <span class="muted">${one.branch}</span></span>
                ${one.error && html`<small class="bad-text">${one.error}</small>`}
                ${one.rollbackOf && html`<small>Rolls back ${versionOf(one.rollbackOf, items)}</small>`}
                ${
                  isStuck &&
                  one === live &&
                  html`<small class="muted" data-testid="rollback-impossible">
                    It can't be rolled back: ${plan.value.rollback.reason}
                  </small>`
                }
              </span>
              ${one.taskId && html`<a href=${to.task(projectId, one.taskId)}>Task</a>`}
              ${one.taskGroupId && html`<a href=${to.group(projectId, one.taskGroupId)}>Group</a>`}
              ${
                isLive(one) &&
                one.url &&
                html`<${PreviewLink} deploymentId=${environment === "preview" && one.id} href=${one.url}>Open<//>`
              }
              <${Time} at=${one.finishedAt || one.startedAt || one.createdAt} />
              <button type="button" class="button small ghost" onClick=${() => setShown(one)}>Logs</button>
              ${
                isLive(one) &&
                environment !== "preview" &&
                may("maintainer") &&
                html`<button
                  type="button"
                  class="button small"
                  data-testid="deployment-rollback"
                  disabled=${isStuck}
                  title=${isStuck ? plan.value.rollback.reason : undefined}
                  onClick=${() => setLeaving(one)}
                >
                  Roll back
                </button>`
              }
            </li>`,
        )}
      </ul>
    <//>
    ${shown && html`<${Logs} deployment=${shown} close=${() => setShown(null)} />`}
    ${
      leaving &&
      html`<${Rollback}
        deployment=${leaving}
        items=${items}
        reload=${pages.reload}
        close=${() => setLeaving(null)}
      />`
    }
  </section>`;
}

const NOTHING = {
  production: "Nothing has been in production yet. Take a group to staging first, then to production.",
  staging: "Nothing has been on staging yet. Deploy a group from its page.",
  preview: "No previews. Each task gets one when its work has been proven.",
};

function Logs({ deployment, close }) {
  const { value, error, reload } = useRead(`/deployments/${deployment.id}/logs`);
  const [progress, setProgress] = useState(null);
  useLive(({ event, data }) => {
    if (data?.deploymentId !== deployment.id) return false;
    if (event === "deploy:progress") setProgress(data.message);
    return true;
  }, reload);
  return html`<${Dialog}
    title=${`Logs of ${sha(deployment.commitSha) || shortId(deployment.id)} on ${deployment.environment}`}
    close=${close}
    wide
  >
    ${progress && html`<p class="muted">${progress}</p>`}
    ${
      error
        ? html`<${Trouble} error=${error} again=${reload} />`
        : value
          ? html`<${Lines} lines=${value.lines} empty="It has written nothing." testid="deployment-logs" />`
          : html`<${Loading} />`
    }
    <footer><button type="button" class="button" onClick=${reload}>Read again</button></footer>
  <//>`;
}

// Those that may be gone back to, newest first.
const earlierThan = (deployment, items) =>
  items.filter(
    (one) =>
      one.id !== deployment.id &&
      EARLIER.includes(one.status) &&
      one.finishedAt &&
      one.commitSha !== deployment.commitSha,
  );

function versionOf(id, items) {
  const found = items.find((one) => one.id === id);
  return found ? html`<code>${sha(found.commitSha)}</code>` : shortId(id);
}

// What the platform says that this rollback would do: {target, reason, commits, tasks}.
function Consequences({ deployment, plan, projectId }) {
  if (!plan) return html`<${Loading} />`;
  const { target, reason, commits, tasks } = plan;
  if (reason) return html`<p class="bad-text" data-testid="rollback-plan">This can't be done: ${reason}</p>`;
  return html`<div data-testid="rollback-plan">
    <p>
      Version <code>${sha(target.commitSha)}</code>, deployed${" "}
      <${Time} at=${target.finishedAt} />, replaces <code>${sha(deployment.commitSha)}</code> once it is healthy.
    </p>
    ${
      commits.length > 0 && html`<p>Taken back: ${commits.map((one) => html`<code key=${one}>${sha(one)}</code> `)}</p>`
    }
    ${
      tasks.length > 0
        ? html`<ul>
            ${tasks.map((one) => html`<li key=${one.id}><a href=${to.task(projectId, one.id)}>${one.title}</a></li>`)}
          </ul>`
        : html`<p>No task is taken back.</p>`
    }
  </div>`;
}

// The next group is refused unless it holds such a task, written after the rollback.
const fixOf = ({ commits, tasks }, deployment) => ({
  projectId: deployment.projectId,
  title: `Fix or revert what was rolled back from ${sha(deployment.commitSha)}`,
  description: [
    `Production was rolled back from ${commits.map(sha).join(", ") || sha(deployment.commitSha)}.`,
    "Its changes are still in the default branch: mend them, or revert them.",
    ...tasks.map(({ title }) => `- ${title}`),
  ].join("\n"),
  labels: ["fix"],
});

function Rollback({ deployment, items, reload, close }) {
  const form = useForm({ toDeploymentId: "", writesFix: false });
  const { toDeploymentId, writesFix } = form.draft;
  const { value, error } = useRead(`/deployments/${deployment.id}/rollback`, { toDeploymentId });
  const plan = value?.rollback;
  const earlier = earlierThan(deployment, items);
  const isProduction = deployment.environment === "production";
  const act = async () => {
    await api.post(`/deployments/${deployment.id}/rollback`, toDeploymentId ? { toDeploymentId } : {});
    told("Rolling back. What serves now stays until the older version is healthy.");
    if (isProduction && writesFix && plan) {
      // The rollback is under way whether or not this one goes well.
      await api
        .post("/tasks", fixOf(plan, deployment))
        .then(
          ({ task }) =>
            told("The task that fixes it is written.", { href: to.task(deployment.projectId, task.id), text: "Open" }),
          failed,
        );
    }
    await reload();
  };
  const options = [
    ["", "The newest that was not rolled back"],
    ...earlier.map((one) => [
      one.id,
      `${sha(one.commitSha)} · ${one.branch} · ${new Date(one.finishedAt).toLocaleString()}`,
    ]),
  ];
  return html`<${Confirm}
    title=${`Roll back ${deployment.environment}?`}
    verb="Roll back"
    testid="rollback-confirm"
    act=${act}
    close=${close}
  >
    <${SelectField} label="Go back to" name="toDeploymentId" form=${form} options=${options} testid="rollback-to" />
    ${
      error
        ? html`<p class="bad-text">${error.message}</p>`
        : html`<${Consequences} deployment=${deployment} plan=${plan} projectId=${deployment.projectId} />`
    }
    ${
      isProduction &&
      html`
        <p>
          What is taken back stays in the branch: groups are refused until one holds a task, written after this and
          labelled <b>fix</b> or <b>revert</b>, or a person says that it may come back.
        </p>
        <${CheckField} label="Write the task that fixes it, labelled fix" name="writesFix" form=${form} />
      `
    }
  <//>`;
}
