// What happened, in the words of a timeline: the actor's name goes before.
import { html } from "../components/html.mjs";
import { usageText } from "../forms/spending-caps.mjs";
import { actorName, agentName } from "../state/actors.mjs";
import { t, th, tn } from "./language.mjs";
import { serverText } from "./server-texts.mjs";
import { fieldLabel, labelOf } from "./words.mjs";

const bold = (word) => html`<b>${labelOf(word)}</b>`;
const place = (environment) => labelOf(environment).toLowerCase();

const SENTENCES = {
  "task:created": () => t("created the task"),
  "task:status_changed": ({ oldState, newState }) =>
    th("moved it from {old} to {new}", { old: labelOf(oldState), new: bold(newState) }),
  "task:updated": ({ changed }) =>
    t("changed {fields}", { fields: [...new Set((changed || []).map(fieldLabel))].join(", ") || t("it") }),
  "taken back": () => th("{act}: production runs a version without it", { act: html`<b>${t("rolled it back")}</b>` }),
  "brought back": () => t("brought it back to production"),
  "task:reviewed": ({ verdict, comments }) => sayReview(verdict, comments),
  "task:review_overruled": ({ reason }) => t("went on without the review: {reason}", { reason }),
  "task:needs_input": ({ question }) => t("asked: {question}", { question }),
  "question:answered": ({ response }) => t("answered: {response}", { response }),
  "question:reminded": ({ question, escalatedTo: other, notAsked }) => {
    if (other) return t("reminded and asked {other}, as nobody had answered: {question}", { other, question });
    return notAsked
      ? t("reminded, as nobody had answered; {notAsked} can't answer here any more: {question}", { notAsked, question })
      : t("reminded, as nobody had answered: {question}", { question });
  },
  "agent:status": ({ agentId, status }, actor) => {
    const [agent, state] = [agentName(agentId), labelOf(status).toLowerCase()];
    return actor === agent ? t("is {state}", { state }) : t("noted that {agent} is {state}", { agent, state });
  },
  "agent:deleted": ({ agentId, podName }) => t("deleted the agent {name}", { name: podName || agentId }),
  "job:retried": ({ kind }) => t("started the failed job {kind} again", { kind }),
  "deploy:rollback_requested": ({ environment, commitSha, reason }) => {
    const said = t("rolled {environment} back to {commit}", {
      environment: place(environment),
      commit: String(commitSha).slice(0, 8),
    });
    return reason ? `${said}: ${serverText(reason)}` : said;
  },
  "deploy:failing": ({ environment, error }) =>
    t("the version in {environment} fails: {error}", { environment: place(environment), error: serverText(error) }),
  "deploy:recovered": ({ environment }) =>
    t("the version in {environment} works again", { environment: place(environment) }),
  "deploy:started": ({ environment }) => t("started the {environment} deployment", { environment: place(environment) }),
  "deploy:completed": ({ environment }) =>
    t("finished the {environment} deployment", { environment: place(environment) }),
  "deploy:url_changed": ({ environment, url }) =>
    t("the address in {environment} is now {url}", { environment: place(environment), url }),
  "branch:pushed": ({ branch, newSha }) =>
    t("pushed {commit} to {branch}", { commit: String(newSha).slice(0, 8), branch }),
  "project:base_tested": ({ commitSha, isRed, reason }) =>
    isRed
      ? t("the default branch is red at {commit}: {reason}", {
          commit: String(commitSha).slice(0, 8),
          reason: serverText(reason),
        })
      : t("the default branch is green again at {commit}", { commit: String(commitSha).slice(0, 8) }),
  "test:quarantined": ({ test, reason, owner }) =>
    owner
      ? t("put {test} into quarantine by the rule for which {owner} answers: {reason}", { test, owner, reason })
      : t("put {test} into quarantine: {reason}", { test, reason }),
  "test:released": ({ test }) => t("ended the quarantine of {test}", { test }),
  "spend:warning": (data) =>
    data.period === "day"
      ? t("tells that {use} is used today", { use: usageText(data) })
      : t("tells that {use} is used", { use: usageText(data) }),
  "deploy:superseded": ({ environment }) =>
    t("ended the {environment} deployment before it was live", { environment: place(environment) }),
  "deploy:failed": ({ environment, error }) =>
    t("the {environment} deployment failed: {error}", {
      environment: place(environment),
      error: serverText(error) || t("no reason given"),
    }),
  "task-group:updated": ({ changed }) => sayGroupChange((changed || [])[0]),
  "task-group:status_changed": ({ oldStatus, newStatus }) =>
    oldStatus
      ? th("moved a group from {old} to {new}", { old: labelOf(oldStatus), new: bold(newStatus) })
      : t("made a group"),
  "project:status_changed": ({ oldStatus, newStatus, changed }) => {
    if (changed) return t("changed settings: {fields}", { fields: changed.map(fieldLabel).join(", ") });
    return oldStatus ? th("moved the project to {new}", { new: bold(newStatus) }) : t("made the project");
  },
  "project:member_changed": ({ username: name, oldRole, newRole }) => {
    const [old, role] = [labelOf(oldRole), bold(newRole)];
    if (!newRole) return t("removed the member {name}", { name });
    return oldRole
      ? th("changed the member {name} from {old} to {role}", { name, old, role })
      : th("made {name} a member: {role}", { name, role });
  },
  "user:changed": ({ username: name, change, oldRole, newRole, isActive }) => {
    const [old, role] = [labelOf(oldRole), bold(newRole)];
    if (change === "created") return th("created the user {name}: {role}", { name, role });
    if (change === "role") return th("changed the user {name} from {old} to {role}", { name, old, role });
    if (change === "password") return t("set a new password of {name}", { name });
    if (change === "deleted") return t("deleted the user {name}", { name });
    return isActive ? t("activated the user {name}", { name }) : t("deactivated the user {name}", { name });
  },
  "token:changed": ({ kind, change, tokenName: name, role }) => {
    const made = change === "created";
    if (kind === "enrolment") return made ? t("created an enrolment token") : t("deleted an enrolment token");
    return made
      ? th("created the API token {name}: {role}", { name, role: bold(role) })
      : t("deleted the API token {name}", { name });
  },
  "settings:changed": ({ what, change, itemName: name, changed }) => {
    const fields = (changed || []).map(fieldLabel).join(", ");
    if (what === "webhook") return t("changed the webhook: {fields}", { fields });
    if (what === "caps") return t("changed the platform's caps: {fields}", { fields });
    if (change === "created") return t("added the model provider {name}", { name });
    if (change === "deleted") return t("deleted the model provider {name}", { name });
    return t("changed the model provider {name}: {fields}", { name, fields });
  },
};

function sayGroupChange(changed) {
  if (changed === "taskIds") return t("took a task out of a group");
  if (changed === "error") return t("changed the error of a group");
  if (changed === "headSha") return t("rebuilds a group: its branch moved");
  return changed === "wantsStaging"
    ? t("asked for a group to go to staging once it is merged")
    : t("accepted that a group brings back what was rolled back");
}

function sayReview(verdict, comments) {
  if (!comments) return t("finished a review");
  return verdict === "comment"
    ? tn(comments, "reviewed it with {count} comment", "reviewed it with {count} comments")
    : tn(comments, "finished a review with {count} comment", "finished a review with {count} comments");
}

// of: an event as the API lists it, with `times` where it is told for several.
const sentence = ({ event, data, actor }) =>
  SENTENCES[event] ? SENTENCES[event](data || {}, actorName(actor)) : labelOf(event.replace(":", " "));
export const Sentence = ({ of }) =>
  html`${sentence(of)}${of.times > 1 && html` <span class="muted">${t("{times} times", { times: of.times })}</span>`}`;

// All kinds, for a choice of them.
export const EVENTS = Object.keys(SENTENCES).filter((name) => name.includes(":"));
