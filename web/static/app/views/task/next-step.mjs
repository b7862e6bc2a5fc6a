// What follows for a task, in one sentence, and the way to it. Nothing is read or drawn here.
import { to } from "../../browser/routes.mjs";
import { actorName } from "../../state/actors.mjs";
import { t, tn } from "../../words/language.mjs";
import { fullTime } from "../../words/words.mjs";

// A step: {key, text, href?, does?, verb?}. href: a link to where it is done. does: the name of an act of
// task-next-step.mjs. verb: the act's button where the text is more than that. Neither: there is nothing to do.
const step = (key, text, way = {}) => ({ key, text, ...way });

// around: what one must know besides the task:
// - may: a function of a role's name
// - isOwn: the project wants another person's approval than the caller's
// - project: the task's
// - drivers: as GET /drivers lists them; null while that is not known
// - unmet: tasks that it depends on and that are not approved yet
// - approved: how many approved tasks no group holds; null while that is not known
// - fix: a task labelled fix that was written after the rollback, or null
export function nextStep(task, around) {
  const open = (task.questions || []).filter(({ status }) => status === "pending");
  if (task.phase === "held") return held(task, around);
  if (open.length) return answer(open, around);
  return (STEPS[task.state] || nothing)(task, around);
}

const STEPS = {
  backlog: (task, around) =>
    task.parked
      ? step("files", t("Waits for its files"), { does: "parked", verb: t("Look") })
      : waiting(task, around, t("Waits for a free agent")),
  in_progress: (task, around) => (PHASES[task.phase] || PHASES.working)(task, around),
  needs_input: () => step("handover", t("The answer is on its way to the agent")),
  ready_to_test: review,
  approved: (task, around) => (task.taskGroup ? inGroup(task, around) : group(around)),
  staging: (task, around) => (task.taskGroup ? inGroup(task, around) : nothing()),
  production: delivered,
  failed: (task, { may }) =>
    may("member")
      ? step("retry", t("Try again"), { does: "retry" })
      : step("failed", t("It failed; a member of the project can try again")),
  cancelled: () => step("over", t("Cancelled: nothing follows")),
};

const PHASES = {
  queued: (task, around) => waiting(task, around, t("Waits for a free agent to go on")),
  working: (task) => step("watch", t("An agent works on it"), { href: to.taskPage(task, "work"), verb: t("Watch") }),
  verifying: () => step("verifying", t("The platform checks what the agent pushed")),
  parked: ({ parked }) =>
    parked?.code === "cap"
      ? step("cap", t("A cap is reached: raise it, or go on later"), { does: "parked", verb: t("Look") })
      : step("parked", t("Its model takes no calls now; it goes on by itself")),
};

const nothing = () => step("none", "");

function held({ heldBy }, { may }) {
  const text = t("{name} works on its branch by hand", { name: actorName(heldBy) });
  return may("member") ? step("held", text, { does: "handBack", verb: t("Hand it back") }) : step("held", text);
}

function answer(open, { may }) {
  if (!may("member")) return step("asked", t("Waits for the answer of a member of the project"));
  return step("answer", tn(open.length, "Answer the question", "Answer {count} questions"), { does: "answer" });
}

function waiting(task, { project, drivers, unmet }, otherwise) {
  if (project?.status === "provisioning") return step("project", t("Waits until the project is set up"));
  if (unmet.length) {
    const [{ title }] = unmet;
    const others = unmet.length - 1;
    const text = others
      ? tn(others, "Waits for “{title}” and another task", "Waits for “{title}” and {count} others", { title })
      : t("Waits for “{title}”", { title });
    return step("after", text, { href: to.task(task.projectId, unmet[0].id), verb: t("Look") });
  }
  const name = task.driver || project?.driver;
  const among = (drivers || []).filter((one) => !name || one.name === name);
  if (drivers && !among.some(({ agents }) => agents > 0)) {
    const text = name ? t("Waits for an agent with driver {name}", { name }) : t("Waits for an agent: none is there");
    return step("driver", text, { href: "#/agents", verb: t("Agents") });
  }
  const needs = task.requiredCapabilities || [];
  if (needs.length) return step("agent", t("Waits for a free agent that has {needs}", { needs: needs.join(", ") }));
  return step("agent", otherwise);
}

function review(task, { may, isOwn }) {
  if (!may("maintainer")) return step("reviewed", t("Waits for the review of a maintainer"));
  if (isOwn) return step("reviewed", t("Waits for the review of somebody else: this project wants one"));
  return step("review", t("Review it"), { href: to.taskPage(task, "review") });
}

function group({ may, approved }) {
  if (!may("maintainer")) return step("grouped", t("Waits for a maintainer to put it into a group"));
  const text = approved ? t("Add to a group ({count} approved)", { count: approved }) : t("Add to a group");
  return step("group", text, { does: "group" });
}

const titleOf = ({ name, stagingBranch }) => name || stagingBranch.replace(/^release\//, "");

function inGroup({ projectId, taskGroup }, { may }) {
  const { id, status } = taskGroup;
  const name = titleOf(taskGroup);
  const href = to.group(projectId, id);
  const isMine = may("maintainer");
  const look = { href, verb: t("Look") };
  if (status === "merged" && isMine) return step("stage", t("In group {name}: deploy to staging", { name }), { href });
  if (status === "merged") return step("staged", t("In group {name}: waits to be deployed to staging", { name }), look);
  if (status === "staging" && isMine)
    return step("deliver", t("In group {name}: deploy to production", { name }), { href });
  if (status === "staging")
    return step("delivered", t("In group {name}: waits to be deployed to production", { name }), look);
  if (status === "deploying_staging")
    return step("staging", t("In group {name}: on its way to staging", { name }), look);
  if (status === "deploying_production")
    return step("delivering", t("In group {name}: on its way to production", { name }), look);
  if (status === "failed") return step("broken", t("Group {name} failed: see why", { name }), { href });
  return step("merging", t("In group {name}: merged and tested now", { name }), look);
}

function delivered({ projectId, rolledBackAt, taskGroup }, { may, fix }) {
  if (rolledBackAt && fix) {
    const way = { href: to.task(projectId, fix.id), verb: t("Look") };
    return step("fixing", t("Rolled back: “{title}” is to fix it", { title: fix.title }), way);
  }
  if (rolledBackAt) {
    const text = t("Rolled back: a task labelled fix is needed");
    return may("member") ? step("fix", text, { does: "fix", verb: t("Write it") }) : step("fix", text);
  }
  const at = taskGroup?.deliveredAt;
  const text = at ? t("In production since {time}", { time: fullTime(at) }) : t("In production");
  return step("live", text, { href: to.deployments(projectId), verb: t("Deployments") });
}
