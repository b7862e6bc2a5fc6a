// Going back to an earlier version: what that would do in one sentence, and the task that mends what is taken back.
import { to } from "../../browser/routes.mjs";
import { toastError, toastSuccess } from "../../browser/toasts.mjs";
import { Loading, Time } from "../../components/controls.mjs";
import { Confirm } from "../../components/dialogs.mjs";
import { html } from "../../components/html.mjs";
import { CheckField, SelectField } from "../../forms/fields.mjs";
import { useForm } from "../../forms/form.mjs";
import { api } from "../../server/api.mjs";
import { useRead } from "../../server/loading.mjs";
import { t } from "../../words/language.mjs";
import { serverText } from "../../words/server-texts.mjs";
import { fullTime, shortSha } from "../../words/words.mjs";
import { versionName, whatRollingBackDoes } from "./release-sentences.mjs";

// Was healthy once, so it may be gone back to.
const EARLIER = ["superseded", "rolled_back", "completed"];

// Those that may be gone back to, newest first.
export const earlierThan = (deployment, items) =>
  items.filter(
    (one) =>
      one.id !== deployment.id &&
      EARLIER.includes(one.status) &&
      one.finishedAt &&
      one.commitSha !== deployment.commitSha,
  );

// What the platform says that this rollback would do: {target, reason, commits, commitCount, tasks}.
function Consequences({ deployment, plan }) {
  if (!plan) return html`<${Loading} />`;
  const { target, reason, tasks } = plan;
  if (reason)
    return html`<p class="bad-text" data-testid="rollback-plan">
      ${t("This can't be done: {reason}", { reason: serverText(reason) })}
    </p>`;
  return html`<div class="prose md" data-testid="rollback-plan">
    <p><b>${whatRollingBackDoes(deployment, plan)}</b></p>
    <p>
      ${t("Version {commit} takes over once it is healthy. It was deployed", { commit: shortSha(target.commitSha) })}
      ${" "}
      <${Time} at=${target.finishedAt} />.
    </p>
    ${
      tasks.length > 0 &&
      html`<ul>
        ${tasks.map(
          (one) => html`<li key=${one.id}><a href=${to.task(deployment.projectId, one.id)}>${one.title}</a></li>`,
        )}
      </ul>`
    }
  </div>`;
}

// The next group is refused unless it holds such a task, written after the rollback.
const fixOf = ({ commits, tasks }, deployment) => ({
  projectId: deployment.projectId,
  title: t("Fix or revert what was rolled back from {commit}", { commit: shortSha(deployment.commitSha) }),
  description: [
    t("Production was rolled back from {commits}.", {
      commits: commits.map(shortSha).join(", ") || shortSha(deployment.commitSha),
    }),
    t("Its changes are still in the default branch: mend them, or revert them."),
    ...tasks.map(({ title }) => `- ${title}`),
  ].join("\n"),
  labels: ["fix"],
});

// items: the environment's deployments, newest first, as far as they are known here.
export function RollbackDialog({ deployment, items, reload, close }) {
  const form = useForm({ toDeploymentId: "", writesFix: false });
  const { toDeploymentId, writesFix } = form.draft;
  const path = `/deployments/${deployment.id}/rollback`;
  const { value, error } = useRead(path, { toDeploymentId });
  const plan = value?.rollback;
  const isProduction = deployment.environment === "production";
  const act = async () => {
    const isFixed = isProduction && writesFix;
    // What it takes back is known only before it: without that, nothing of the fix could be written.
    const { rollback: taken } = isFixed && !plan ? await api.get(path, { toDeploymentId }) : { rollback: plan };
    await api.post(path, toDeploymentId ? { toDeploymentId } : {});
    toastSuccess(t("Rolling back. What serves now stays until the older version is healthy."));
    if (isFixed) {
      // The rollback is under way whether or not this one goes well.
      await api.post("/tasks", fixOf(taken, deployment)).then(
        ({ task }) =>
          toastSuccess(t("The task that fixes it is written."), {
            href: to.task(deployment.projectId, task.id),
            text: t("Open"),
          }),
        toastError,
      );
    }
    await reload();
  };
  const options = [
    ["", t("The newest that was not rolled back")],
    ...earlierThan(deployment, items).map((one) => [
      one.id,
      `${versionName(one)} · ${shortSha(one.commitSha)} · ${one.branch} · ${fullTime(one.finishedAt)}`,
    ]),
  ];
  return html`<${Confirm}
    title=${isProduction ? t("Roll production back?") : t("Roll staging back?")}
    verb=${t("Roll back")}
    testid="rollback-confirm"
    act=${act}
    close=${close}
  >
    <${SelectField}
      label=${t("Go back to")}
      name="toDeploymentId"
      form=${form}
      options=${options}
      testid="rollback-to"
    />
    ${
      error
        ? html`<p class="bad-text">${error.message}</p>`
        : html`<${Consequences} deployment=${deployment} plan=${plan} />`
    }
    ${
      isProduction &&
      html`
        <p>
          ${t(
            "What is taken back stays in the branch: groups are refused until one holds a task, written after " +
              "this and labelled fix or revert, or a person says that it may come back.",
          )}
        </p>
        <${CheckField} label=${t("Write the task that fixes it, labelled fix")} name="writesFix" form=${form} />
      `
    }
  <//>`;
}
