// One task group: how far it is, what was taken out of it and why, and its two deployments.
import { useState } from "preact/hooks";
import { api } from "../api.mjs";
import { html } from "../html.mjs";
import { useLive, useRead } from "../loading.mjs";
import { Badge, Button, Empty, Loading, OutLink, Page, Time, Trouble } from "../parts/controls.mjs";
import { Confirm } from "../parts/dialogs.mjs";
import { lazy } from "../parts/lazy.mjs";
import { project } from "../projects.mjs";
import { to } from "../routes.mjs";
import { may } from "../session.mjs";
import { CANCELLABLE_GROUP_STATES } from "../states.mjs";
import { useTitle } from "../titles.mjs";
import { actorName, brief, idOf, say, sha, shortId, shownState } from "../words.mjs";
import { groupTitle, isTakenOut } from "./groups.mjs";

const Markdown = lazy(
  () => import("../parts/markdown.mjs"),
  "Markdown",
  () => null,
);

const STAGEABLE = ["pending", "merging", "merged"];
const RETRYABLE = ["merged", "staging", "failed"];
const REMOVABLE = ["pending", "merging", "merged", "staging", "failed"];
const TOLD = ["task:status_changed", "task:updated"];
const STEPS = ["merging", "merged", "staging", "production"];
const REACHED = {
  pending: 0,
  merging: 0,
  merged: 2,
  deploying_staging: 2,
  staging: 3,
  deploying_production: 3,
  production: 4,
  rolled_back: 3,
};
// Nothing goes on in these.
const AT_REST = ["merged", "staging", "rolled_back"];

export function Group({ id }) {
  const { value, error, reload } = useRead(`/task-groups/${id}`);
  const group = value?.taskGroup;
  useTitle(group && groupTitle(group));
  const inside = new Set([...(group?.taskIds || []), id]);
  useLive(
    ({ event, data }) =>
      inside.has(data?.taskGroupId) ||
      event.startsWith("deploy:") ||
      (TOLD.includes(event) && inside.has(data?.taskId)),
    reload,
  );
  if (error && !group) return html`<${Page} title="Group"><${Trouble} error=${error} again=${reload} /><//>`;
  if (!group) return html`<${Loading} />`;
  const lead = html`
    <a href=${to.groups(project.value.id)}>Groups</a> · <code>${group.stagingBranch}</code> ·${" "}
    <${Time} at=${group.createdAt} />
    ${group.createdBy && html` by ${actorName(group.createdBy)}`}
  `;
  return html`<${Page}
    title=${html`
      ${groupTitle(group)} <${Badge} word=${group.status} shown=${shownState(group)} testid="group-status" />
    `}
    lead=${lead}
    actions=${may("maintainer") && html`<${Actions} group=${group} reload=${reload} />`}
  >
    <${Steps} status=${shownState(group)} />
    ${
      group.rolledBackAt &&
      html`<p class="banner ask" data-testid="group-rolled-back">
        It was rolled back <${Time} at=${group.rolledBackAt} />: production runs a version without it.
      </p>`
    }
    ${group.error && html`<p class="banner bad">${group.error}</p>`}
    ${group.notes && html`<${Markdown} text=${group.notes} />`}
    <${Problems} group=${group} />
    <${Stages} group=${group} />
    <${Members} group=${group} reload=${reload} />
    <${Checks} checks=${group.checks || []} />
  <//>`;
}

function Steps({ status }) {
  const reached = REACHED[status];
  if (reached === undefined) return null;
  return html`<ol class="steps">
    ${STEPS.map(
      (step, at) =>
        html`<li
          key=${step}
          class=${at < reached ? "reached" : at === reached && !AT_REST.includes(status) ? "now" : ""}
        >
          <i></i>
          ${say(step)}
        </li>`,
    )}
  </ol>`;
}

function Actions({ group, reload }) {
  const [asking, setAsking] = useState(null);
  const post = async (verb, body) => {
    try {
      await api.post(`/task-groups/${group.id}/${verb}`, body);
    } finally {
      await reload();
    }
  };
  const close = () => setAsking(null);
  // What a rollback took back goes out again only if a person says so, at each step anew.
  const deploy = (verb) =>
    post(verb).catch((error) => {
      if (error.field !== "acceptRolledBack") throw error;
      setAsking({ verb, why: error.message });
    });
  return html`
    ${
      STAGEABLE.includes(group.status) &&
      html`<${Button} kind="primary" testid="group-deploy-staging" act=${() => deploy("deploy-staging")}>
        Deploy to staging
      <//>`
    }
    ${
      group.status === "staging" &&
      html`<button
        type="button"
        class="button primary"
        data-testid="group-deploy-production"
        onClick=${() => setAsking("production")}
      >
        Deploy to production
      </button>`
    }
    ${
      RETRYABLE.includes(group.status) &&
      html`<${Button}
        kind=${group.status === "failed" ? "primary" : ""}
        testid="group-retry"
        act=${() => post("retry")}
        title="Merge and test it again, from the default branch as it is now"
      >
        Build again
      <//>`
    }
    ${
      CANCELLABLE_GROUP_STATES.includes(group.status) &&
      html`<button type="button" class="button ghost" data-testid="group-cancel" onClick=${() => setAsking("cancel")}>
        Cancel group
      </button>`
    }
    ${
      asking === "cancel" &&
      html`<${Confirm}
        title="Cancel this group?"
        verb="Cancel group"
        testid="group-cancel-confirm"
        act=${() => post("cancel")}
        close=${close}
      >
        Its tasks go back to approved and can be put into another group.
      <//>`
    }
    ${
      asking === "production" &&
      html`<${Confirm}
        title="Deploy to production?"
        verb="Deploy"
        kind="primary"
        testid="group-deploy-production-confirm"
        act=${() => deploy("deploy-production")}
        close=${() => setAsking((now) => (now === "production" ? null : now))}
      >
        <p>
          Exactly the commit that runs on
          staging${group.headSha ? html`, <code>${sha(group.headSha)}</code>,` : ""} goes to production, and takes over
          once it is healthy.
        </p>
      <//>`
    }
    ${
      asking?.verb &&
      html`<${Confirm}
        title="Bring back what was rolled back?"
        verb="Deploy all the same"
        testid="group-accept-rolled-back"
        act=${() => post(asking.verb, { acceptRolledBack: true })}
        close=${close}
      >
        <p>${asking.why}</p>
      <//>`
    }
  `;
}

function Problems({ group }) {
  if (!group.problems?.length) return null;
  return html`<section>
    <h2>Problems</h2>
    <ul class="problems" data-testid="group-problems">
      ${group.problems.map(
        (one) =>
          html`<li key=${`${one.taskId}:${one.kind}`} class=${`callout ${isTakenOut(one) ? "bad" : "ask"}`}>
            <p>
              <b>${say(one.kind)}</b> ${one.taskId && html`<${TaskLink} group=${group} id=${one.taskId} />`}
              ${" "}
              ${isTakenOut(one) && html`<span class="muted">Taken out</span>`}
            </p>
            ${one.files?.length > 0 && html`<p>${one.files.map((file) => html`<code key=${file}>${file}</code> `)}</p>`}
            ${one.detail && html`<pre class="lines" tabindex="0" role="group" aria-label="Details">${one.detail}</pre>`}
          </li>`,
      )}
    </ul>
  </section>`;
}

// What was taken out is no longer among the group's tasks: its title is read.
function TaskLink({ group, id }) {
  const known = (group.tasks || []).find((task) => task.id === id);
  const { value } = useRead(known ? null : `/tasks/${id}`);
  return html`<a href=${to.task(group.projectId, id)}>${(known || value?.task)?.title || `Task ${shortId(id)}`}</a>`;
}

function Stages({ group }) {
  const all = [...(group.deployments || [])].sort((a, b) => (a.id < b.id ? 1 : -1));
  return html`<section>
    <h2>Where it runs</h2>
    <div class="places">
      ${["staging", "production"].map((environment) => {
        const latest = all.find((one) => one.environment === environment);
        return html`<div key=${environment} class="place" data-testid=${`group-${environment}`}>
          <h3>${say(environment)}</h3>
          ${
            latest
              ? html`
                <p>
                  <${Badge} word=${latest.status} /> <code>${sha(latest.commitSha)}</code>
                  ${" "}
                  <${Time} at=${latest.finishedAt || latest.startedAt} />
                </p>
                ${latest.error && html`<p class="bad-text">${latest.error}</p>`}
                ${
                  latest.url &&
                  latest.status === "completed" &&
                  html`<p><${OutLink} href=${latest.url}>${latest.url}<//></p>`
                }
              `
              : html`<p class="muted">Not deployed yet.</p>`
          }
        </div>`;
      })}
    </div>
  </section>`;
}

function Members({ group, reload }) {
  const [removing, setRemoving] = useState(null);
  const removable = may("maintainer") && REMOVABLE.includes(group.status);
  if (!group.taskIds.length)
    return html`<${Empty} title="No task is left in it">
      All were taken out. They are handed back to their agents with the facts.
    <//>`;
  return html`<section>
    <h2>Tasks</h2>
    <ul class="rows">
      ${group.taskIds.map(
        (id) =>
          html`<li key=${id} class="row">
            <${TaskRow}
              id=${id}
              known=${(group.tasks || []).find((task) => task.id === id)}
              projectId=${group.projectId}
            />
            ${
              removable &&
              html`<button type="button" class="button small ghost" onClick=${() => setRemoving(id)}>
                Take out
              </button>`
            }
          </li>`,
      )}
    </ul>
    ${
      removing &&
      html`<${Confirm}
        title="Take this task out?"
        verb="Take out"
        act=${async () => {
          await api.post(`/task-groups/${group.id}/remove`, { taskId: idOf(removing) });
          await reload();
        }}
        close=${() => setRemoving(null)}
      >
        The group is merged and tested again without it. The task stays approved.
      <//>`
    }
  </section>`;
}

function TaskRow({ id, known, projectId }) {
  const { value, error, reload } = useRead(known ? null : `/tasks/${id}`);
  useLive(({ data }) => !known && data?.taskId === id, reload);
  const task = known || value?.task;
  if (!task) return html`<span class="row-main">${error ? error.message : shortId(id)}</span>`;
  return html`
    <a class="row-main" href=${to.task(projectId, id)}><b>${task.title}</b><code>${task.branchName}</code></a>
    ${
      task.laterPush &&
      html`<span class="chip" title=${`${task.laterPush} was pushed too late and is left out`}>
        Later push left out
      </span>`
    }
    ${task.state && html`<${Badge} word=${task.state} shown=${shownState(task)} />`}
  `;
}

const Checks = ({ checks }) =>
  checks.length
    ? html`<section>
      <h2>Proven by the platform</h2>
      <ul class="checks">
        ${checks.map(
          (check) =>
            html`<li key=${check.name}>
              <${Badge} word=${check.status} label=${say(check.name)} />
              <span>${brief(check.message) || say(check.status)}</span>
              <code>${sha(check.commitSha)}</code>
              <${Time} at=${check.at} />
            </li>`,
        )}
      </ul>
    </section>`
    : null;
