// One task group as a release: how far it is, where it runs and goes next, how it was built, and what is in it.
import { useState } from "preact/hooks";
import { to } from "../../browser/routes.mjs";
import { useTabTitle } from "../../browser/tab-title.mjs";
import { Badge, Button, LoadError, Loading, Page, Time } from "../../components/controls.mjs";
import { Confirm } from "../../components/dialogs.mjs";
import { html } from "../../components/html.mjs";
import { lazy } from "../../components/lazy.mjs";
import { api } from "../../server/api.mjs";
import { useInterval, useLiveEvents, useRead } from "../../server/loading.mjs";
import { hasRole } from "../../server/session.mjs";
import { actorName } from "../../state/actors.mjs";
import { useInOwnProject } from "../../state/own-project.mjs";
import { project } from "../../state/projects.mjs";
import { t } from "../../words/language.mjs";
import { serverText } from "../../words/server-texts.mjs";
import { CANCELLABLE_GROUP_STATES } from "../../words/states.mjs";
import { labelOf, shortId, shortSha, shownState, withShortShas } from "../../words/words.mjs";
import { groupTitle, isTakenOut } from "./groups.mjs";
import { MergeTrain } from "./merge-train.mjs";
import { ReleaseContents } from "./release-contents.mjs";
import { ReleaseTargets } from "./release-targets.mjs";

const Markdown = lazy(
  () => import("../../components/markdown.mjs"),
  "Markdown",
  () => null,
);

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
const WATCH_MS = 2000;

export function Group({ id }) {
  const { value, error, reload: readGroup } = useRead(`/task-groups/${id}`);
  const plan = useRead(`/task-groups/${id}/plan`);
  const train = useRead(`/task-groups/${id}/train`);
  const group = useInOwnProject(value?.taskGroup, (own) => to.group(own.projectId, id));
  const reload = () => Promise.all([readGroup(), plan.reload(), train.reload()]);
  useTabTitle(group && groupTitle(group));
  const inside = new Set([...(group?.taskIds || []), id]);
  useLiveEvents(
    ({ event, data }) =>
      inside.has(data?.taskGroupId) ||
      (event.startsWith("deploy:") && event !== "deploy:progress") ||
      (TOLD.includes(event) && inside.has(data?.taskId)),
    reload,
  );
  // Test runs end without an event.
  useInterval(WATCH_MS, train.reload, group?.status === "merging");
  if (error && !group)
    return html`<${Page} title=${t("Group")}><${LoadError}
      error=${error}
      again=${readGroup}
      list=${{ href: to.groups(project.value.id), text: t("Groups") }}
    /><//>`;
  if (!group) return html`<${Loading} />`;
  const lead = html`
    <a href=${to.groups(project.value.id)}>${t("Groups")}</a> · <code>${group.stagingBranch}</code> ·${" "}
    <${Time} at=${group.createdAt} />
    ${group.createdBy && html` ${t("by {name}", { name: actorName(group.createdBy) })}`}
  `;
  return html`<${Page}
    title=${html`
      ${groupTitle(group)} <${Badge} word=${group.status} shown=${shownState(group)} testid="group-status" />
    `}
    lead=${lead}
    actions=${hasRole("maintainer") && html`<${Actions} group=${group} reload=${reload} />`}
  >
    <${Steps} status=${shownState(group)} />
    ${
      group.rolledBackAt &&
      html`<p class="banner ask" data-testid="group-rolled-back">
        ${t("It was rolled back: production runs a version without it.")} <${Time} at=${group.rolledBackAt} />
      </p>`
    }
    ${group.error && html`<p class="banner bad">${serverText(group.error)}</p>`}
    ${group.notes && html`<${Markdown} text=${group.notes} />`}
    <${ReleaseTargets} group=${group} plan=${plan.value?.plan} reload=${reload} />
    <${Problems} group=${group} />
    <${Built} group=${group} train=${train} reload=${reload} />
    <${ReleaseContents} key=${`${group.headSha} ${group.taskIds.length}`} group=${group} />
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
          ${labelOf(step)}
        </li>`,
    )}
  </ol>`;
}

function Actions({ group, reload }) {
  const [cancelling, setCancelling] = useState(false);
  const post = async (verb) => {
    try {
      await api.post(`/task-groups/${group.id}/${verb}`);
    } finally {
      await reload();
    }
  };
  return html`
    ${
      RETRYABLE.includes(group.status) &&
      html`<${Button}
        kind=${group.status === "failed" ? "primary" : ""}
        testid="group-retry"
        act=${() => post("retry")}
        title=${t("Merge and test it again, from the default branch as it is now")}
      >
        ${t("Build again")}
      <//>`
    }
    ${
      CANCELLABLE_GROUP_STATES.includes(group.status) &&
      html`<button type="button" class="button ghost" data-testid="group-cancel" onClick=${() => setCancelling(true)}>
        ${t("Cancel group")}
      </button>`
    }
    ${
      cancelling &&
      html`<${Confirm}
        title=${t("Cancel this group?")}
        verb=${t("Cancel group")}
        testid="group-cancel-confirm"
        act=${() => post("cancel")}
        close=${() => setCancelling(false)}
      >
        ${t("Its tasks go back to approved and can be put into another group.")}
      <//>`
    }
  `;
}

function Problems({ group }) {
  if (!group.problems?.length) return null;
  return html`<section>
    <h2>${t("Problems")}</h2>
    <ul class="problems" data-testid="group-problems">
      ${group.problems.map(
        (one) =>
          html`<li key=${`${one.taskId}:${one.kind}`} class=${`callout ${isTakenOut(one) ? "bad" : "ask"}`}>
            <p>
              <b>${labelOf(one.kind)}</b> ${one.taskId && html`<${TaskLink} group=${group} id=${one.taskId} />`}
              ${" "}
              ${isTakenOut(one) && html`<span class="muted">${t("Taken out")}</span>`}
            </p>
            ${one.files?.length > 0 && html`<p>${one.files.map((file) => html`<code key=${file}>${file}</code> `)}</p>`}
            ${
              one.detail &&
              html`<pre class="lines" tabindex="0" role="group" aria-label=${t("Details")}>
                ${serverText(one.detail)}
              </pre>`
            }
          </li>`,
      )}
    </ul>
  </section>`;
}

// What was taken out is no longer among the group's tasks: its title is read.
function TaskLink({ group, id }) {
  const known = (group.tasks || []).find((task) => task.id === id);
  const { value } = useRead(known ? null : `/tasks/${id}`);
  return html`<a href=${to.task(group.projectId, id)}>
    ${(known || value?.task)?.title || t("Task {id}", { id: shortId(id) })}
  </a>`;
}

function Built({ group, train, reload }) {
  const [removing, setRemoving] = useState(null);
  if (train.error && !train.value)
    return html`<section>
      <h2>${t("Merge and tests")}</h2>
      <${LoadError} error=${train.error} again=${train.reload} />
    </section>`;
  if (!train.value) return html`<${Loading} />`;
  return html`
    <${MergeTrain}
      group=${group}
      train=${train.value.train}
      removable=${hasRole("maintainer") && REMOVABLE.includes(group.status)}
      remove=${setRemoving}
    />
    ${
      removing &&
      html`<${Confirm}
        title=${t("Take this task out?")}
        verb=${t("Take out")}
        act=${async () => {
          await api.post(`/task-groups/${group.id}/remove`, { taskId: removing });
          await reload();
        }}
        close=${() => setRemoving(null)}
      >
        ${t("The group is merged and tested again without it. The task stays approved.")}
      <//>`
    }
  `;
}

const Checks = ({ checks }) =>
  checks.length
    ? html`<section>
      <h2>${t("Proven by the platform")}</h2>
      <ul class="checks">
        ${checks.map(
          (check) =>
            html`<li key=${check.name}>
              <${Badge} word=${check.status} label=${labelOf(check.name)} />
              <span>${withShortShas(serverText(check.message)) || labelOf(check.status)}</span>
              <code>${shortSha(check.commitSha)}</code>
              <${Time} at=${check.at} />
            </li>`,
        )}
      </ul>
    </section>`
    : null;
