// What happened, in the words of a timeline: the actor's name goes before.
import { html } from "../html.mjs";
import { t, tn } from "../language.mjs";
import { actorName, say, sayField } from "../words.mjs";
import { sayUse } from "./caps.mjs";

const SENTENCES = {
  "task:created": () => "created the task",
  "task:status_changed": ({ oldState, newState }) => html`moved it from ${say(oldState)} to <b>${say(newState)}</b>`,
  "task:updated": ({ changed }) => `changed ${[...new Set((changed || []).map(sayField))].join(", ") || "it"}`,
  "taken back": () => html`<b>rolled it back</b>: production runs a version without it`,
  "brought back": () => "brought it back to production",
  "task:reviewed": ({ verdict, comments }) => sayReview(verdict, comments),
  "task:needs_input": ({ question }) => html`asked: ${question}`,
  "question:answered": ({ response }) => html`answered: ${response}`,
  "question:reminded": ({ question, escalatedTo }) =>
    html`reminded${escalatedTo ? ` and asked ${escalatedTo}` : ""}, as nobody had answered: ${question}`,
  "agent:status": ({ agentId, status }, actor) =>
    `${actor === agentId ? "" : `${agentId} `}is ${say(status).toLowerCase()}`,
  "deploy:started": ({ environment }) => `started the ${environment} deployment`,
  "deploy:completed": ({ environment }) => `finished the ${environment} deployment`,
  "branch:pushed": ({ branch, newSha }) => `pushed ${String(newSha).slice(0, 8)} to ${branch}`,
  "spend:warning": (data) => `tells that ${sayUse(data)} is used${data.period === "day" ? " today" : ""}`,
  "deploy:failed": ({ environment, error }) => `the ${environment} deployment failed: ${error || "no reason given"}`,
  "task-group:status_changed": ({ oldStatus, newStatus }) =>
    oldStatus ? html`moved a group from ${say(oldStatus)} to <b>${say(newStatus)}</b>` : "made a group",
  "project:status_changed": ({ oldStatus, newStatus }) =>
    oldStatus ? html`moved the project to <b>${say(newStatus)}</b>` : "made the project",
};

function sayReview(verdict, comments) {
  if (!comments) return t("finished a review");
  return verdict === "comment"
    ? tn(comments, "reviewed it with {count} comment", "reviewed it with {count} comments")
    : tn(comments, "finished a review with {count} comment", "finished a review with {count} comments");
}

// of: an event as the API lists it.
export const Sentence = ({ of: { event, data, actor } }) =>
  SENTENCES[event] ? SENTENCES[event](data || {}, actorName(actor)) : say(event.replace(":", " "));

// All kinds, for a choice of them.
export const EVENTS = Object.keys(SENTENCES).filter((name) => name.includes(":"));
