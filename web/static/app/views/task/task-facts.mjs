// The facts of a task: in short for its panel, all of them for its page.
import { to } from "../../browser/routes.mjs";
import { Badge, ExternalLink, Time } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { PreviewLink } from "../../components/preview-link.mjs";
import { limitTexts } from "../../forms/run-limits.mjs";
import { actorName, agentName } from "../../state/actors.mjs";
import { tasks } from "../../state/board-tasks.mjs";
import { t } from "../../words/language.mjs";
import { serverText } from "../../words/server-texts.mjs";
import { idOf, isOwnForge, shortId, shortSha } from "../../words/words.mjs";
import { Receipt } from "../releases/receipt.mjs";

// What the board does not show, by its filter or as it is old, is named by its number.
const titleOf = (one) => one.title || tasks.value?.get(idOf(one))?.title || shortId(idOf(one));

const Fact = ({ name, children, testid }) => html`<dt>${name}</dt><dd data-testid=${testid}>${children}</dd>`;

function Preview({ task }) {
  const previews = (task.deployments || []).filter(({ environment }) => environment === "preview");
  const preview = previews.sort((a, b) => (a.id < b.id ? 1 : -1))[0];
  const liveId = previews.find(({ status }) => status === "completed")?.id;
  if (!task.previewUrl && !preview) return null;
  const link = html`<${PreviewLink} deploymentId=${liveId} href=${task.previewUrl} testid="task-preview">
    ${task.previewUrl}
  <//>`;
  return html`<${Fact} name=${t("Preview")}>
    ${task.previewUrl ? link : html`<span class="muted" data-testid="task-preview">${t("Not running")}</span>`}
    ${preview && preview.status !== "superseded" && html`<${Badge} word=${preview.status} />`}
    ${preview?.error && html`<span class="bad-text">${serverText(preview.error)}</span>`}
  <//>`;
}

// What has happened that one must know before doing anything.
function Notable({ task }) {
  return html`
    ${
      task.laterPush &&
      html`<${Fact} name=${t("Left out")} testid="task-later-push">
        <code title=${task.laterPush}>${shortSha(task.laterPush)}</code>
        <span>
          ${t("was pushed too late: its group goes on with {commit}, which was approved.", {
            commit: shortSha(task.approvedSha),
          })}
        </span>
      <//>`
    }
    ${
      task.rolledBackAt &&
      html`<${Fact} name=${t("Rolled back")} testid="task-rolled-back">
        <${Time} at=${task.rolledBackAt} />
        <span class="muted">${t("Production runs a version without it.")}</span>
      <//>`
    }
    ${
      task.dependsOn?.length > 0 &&
      html`<${Fact} name=${t("Depends on")}>
        ${task.dependsOn.map(
          (one) => html`<a key=${idOf(one)} href=${to.task(task.projectId, idOf(one))}>${titleOf(one)}</a>`,
        )}
      <//>`
    }
  `;
}

const Agent = ({ task }) => html`
  ${
    task.assignedAgentId &&
    html`<${Fact} name=${t("Agent")}>
      <a href=${to.agent(task.assignedAgentId)}>${agentName(task.assignedAgentId)}</a>
    <//>`
  }
  ${
    (task.driver || task.model) &&
    html`<${Fact} name=${t("Driver")}>${[task.driver, task.model].filter(Boolean).join(" · ")}<//>`
  }
`;

const chips = (words, kind = "chip") => words.map((one) => html`<span key=${one} class=${kind}>${one}</span>`);

export const ShortTaskFacts = ({ task }) =>
  html`<dl class="facts">
  <${Preview} task=${task} />
  <${Notable} task=${task} />
  <${Agent} task=${task} />
  ${task.labels?.length > 0 && html`<${Fact} name=${t("Labels")}>${chips(task.labels, "chip label")}<//>`}
</dl>`;

export function TaskFacts({ task }) {
  const number = `#${task.prNumber}`;
  const needs = task.requiredCapabilities || [];
  const limits = limitTexts(task.limits);
  return html`<dl class="facts">
    <${Preview} task=${task} />
    ${
      task.branchName &&
      html`<${Fact} name=${t("Branch")}>
        <code>${task.branchName}</code>
        ${task.headSha && html`<code title=${task.headSha}>${shortSha(task.headSha)}</code>`}
      <//>`
    }
    ${
      task.prUrl &&
      html`<${Fact} name=${t("Pull request")}>
        ${isOwnForge(task.prUrl) ? number : html`<${ExternalLink} href=${task.prUrl}>${number}<//>`}
      <//>`
    }
    <${Notable} task=${task} />
    <${Agent} task=${task} />
    ${task.labels?.length > 0 && html`<${Fact} name=${t("Labels")}>${chips(task.labels, "chip label")}<//>`}
    ${needs.length > 0 && html`<${Fact} name=${t("Needs")}>${chips(needs)}<//>`}
    ${limits.length > 0 && html`<${Fact} name=${t("Limits of each run")}>${chips(limits)}<//>`}
    ${
      task.taskGroup &&
      html`<${Fact} name=${t("Group")}>
        <a href=${to.group(task.projectId, task.taskGroup.id)}>
          ${task.taskGroup.name || task.taskGroup.stagingBranch}
        </a>
        <${Badge} word=${task.taskGroup.status} />
      <//>`
    }
    ${
      task.taskGroup?.receipt &&
      html`<${Fact} name=${t("Receipt")} testid="task-receipt"><${Receipt} receipt=${task.taskGroup.receipt} /><//>`
    }
    <${Fact} name=${t("Created")}><${Time} at=${task.createdAt} /><//>
    <${Fact} name=${t("People")} testid="task-people">
      ${peopleOf(task).map(
        ([name, roles]) => html`<span key=${name}><b>${name}</b> <span class="muted">${roles.join(", ")}</span></span>`,
      )}
    <//>
  </dl>`;
}

// Who had a part in the task: [name, parts], in the order of their first one.
function peopleOf({ createdBy, heldBy, approvedBy, comments, questions }) {
  const people = new Map();
  const add = (who, part) => {
    if (!who) return;
    const name = actorName(who);
    people.set(name, new Set([...(people.get(name) || []), part]));
  };
  add(createdBy, t("wrote it"));
  for (const one of questions || []) if (one.respondedBy !== "default") add(one.respondedBy, t("answered"));
  const said = {
    rejection: t("sent it back"),
    message: t("steered"),
    note: t("handed it back"),
    comment: t("commented"),
  };
  for (const { author, kind } of comments || []) if (said[kind]) add(author, said[kind]);
  add(heldBy, t("holds it"));
  add(approvedBy, t("approved"));
  return [...people].map(([name, parts]) => [name, [...parts]]);
}
