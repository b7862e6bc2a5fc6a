// What releases and environments say of themselves, in sentences.
import { t, tn } from "../../words/language.mjs";
import { labelOf, shortSha } from "../../words/words.mjs";

// What people call a version of an environment: its number, else its commit.
export const versionName = (deployment) =>
  deployment.version ? t("v{number}", { number: deployment.version }) : shortSha(deployment.commitSha);

// tasks, commits: how many; commits is null where that is not known.
function amount(tasks, commits, back = 0) {
  const parts = [tn(tasks, "{count} task", "{count} tasks")];
  if (commits !== null && commits !== undefined) parts.push(tn(commits, "{count} commit", "{count} commits"));
  if (back) parts.push(tn(back, "{count} task that was rolled back", "{count} tasks that were rolled back"));
  return parts.join(", ");
}

// plan: of a deployment, as the API has it.
export function whatDeployingDoes(plan, tasks) {
  const values = {
    environment: labelOf(plan.environment),
    to: t("v{number}", { number: plan.version }),
    amount: amount(tasks, plan.commitCount, plan.bringsBack),
  };
  if (!plan.live) return t("{environment} gets its first version, {to}: {amount}.", values);
  return t("{environment} goes from {from} to {to}: brings {amount}.", { ...values, from: versionName(plan.live) });
}

// plan: of a rollback of this deployment, as the API has it, with a target.
export const whatRollingBackDoes = (deployment, plan) =>
  t("{environment} goes from {from} to {to}: takes back {amount}.", {
    environment: labelOf(deployment.environment),
    from: versionName(deployment),
    to: versionName(plan.target),
    amount: amount(plan.tasks.length, plan.commitCount),
  });

// Why a task is not in a group any more.
const OUT = {
  conflict: () => t("It conflicts"),
  takes_back: () => t("One of two tasks takes back the other's work"),
  unrelated_history: () => t("The default branch has another history now"),
  tests_failed: () => t("Its tests fail with the others"),
  dependency: () => t("It waits for another task"),
  pushed: () => t("Somebody pushed to its branch"),
  closed: () => t("Its pull request was closed"),
  changes_requested: () => t("Changes were requested"),
  removed: () => t("A person took it out"),
  cancelled: () => t("It was cancelled"),
};
export const takenOutReason = (reason) => OUT[reason]?.() ?? labelOf(reason);

// Why a deployment can't be made now.
const MISSING = {
  failed: () => t("It failed. Build it again first."),
  under_way: () => t("It is on its way there."),
  asked: () => t("It goes there by itself once it is merged and tested."),
  busy: () => t("Another version is being deployed there. Wait for it to end."),
  not_staged: () => t("It has to run on staging first."),
  moved: () => t("The default branch has moved since it was built. Build it again."),
  other_version: () => t("Staging runs another version now. Build it again."),
};
export const whatIsMissing = ({ kind, detail }) => MISSING[kind]?.() ?? detail;
