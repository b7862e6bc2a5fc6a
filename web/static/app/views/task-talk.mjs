// A task's comments and its timeline: what was said and what happened, and by whom.
import { useState } from "preact/hooks";
import { api } from "../api.mjs";
import { html } from "../html.mjs";
import { useLive, useRead } from "../loading.mjs";
import { Button, Fault, Loading, TextField, Time, Trouble, useForm } from "../parts/controls.mjs";
import { Markdown } from "../parts/markdown.mjs";
import { may } from "../session.mjs";
import { actorName, say, shortId } from "../words.mjs";

export function Comments({ task, reload }) {
  const form = useForm({ body: "" });
  const submit = form.submit(async ({ body }) => {
    await api.post(`/tasks/${task.id}/comments`, { body: body.trim() });
    form.reset();
    await reload();
  });
  const comments = task.comments || [];
  return html`<section><h2>Comments</h2><ul class="comments" data-testid="task-comments">${comments.map((one) => html`<li key=${one.id}>
      <p class="comment-head"><b>${actorName(one.author)}</b><${Time} at=${one.createdAt} />${one.path && html`<code>${one.path}${one.line ? `:${one.line}` : ""}</code>`}
      <span class="muted">${one.deliveredAt ? "Read by the agent" : "Waits for the agent's next run"}</span></p><${Markdown} text=${one.body} /></li>`)}</ul>
    ${may("member") ? html`<form onSubmit=${submit}><${TextField} label="Add a comment" name="body" form=${form} rows="2" testid="comment-body" required hint="The agent is given it with its next run." /><${Fault} form=${form} />
      <footer><button class="button" data-testid="comment-submit" disabled=${form.busy}>Comment</button></footer></form>` : !comments.length && html`<p class="muted">Nobody has commented.</p>`}</section>`;
}

const SENTENCES = {
  "task:created": () => "created the task",
  "task:status_changed": ({ oldState, newState }) => html`moved it from ${say(oldState)} to <b>${say(newState)}</b>`,
  "task:updated": ({ changed }) => `changed ${(changed || []).map((one) => say(one).toLowerCase()).join(", ") || "it"}`,
  "task:needs_input": ({ question }) => html`asked: ${question}`,
  "question:answered": ({ response }) => html`answered: ${response}`,
  "agent:status": ({ agentId, status }) => `${agentId} is ${say(status).toLowerCase()}`,
  "deploy:started": ({ environment }) => `started the ${environment} deployment`,
  "deploy:completed": ({ environment }) => `finished the ${environment} deployment`,
  "deploy:failed": ({ environment, error }) => `the ${environment} deployment failed: ${error || "no reason given"}`,
};

export const sentence = ({ event, data }) => (SENTENCES[event] ? SENTENCES[event](data || {}) : say(event.replace(":", " ")));

export function Timeline({ task }) {
  const [open, setOpen] = useState(false);
  const { value, error, reload } = useRead(open ? `/tasks/${task.id}/events` : null, { limit: 200 });
  const [older, setOlder] = useState([]);
  useLive(({ event, data }) => data?.taskId === task.id && event !== "task:log" && event !== "task:progress", reload);
  const known = new Map([...(value?.events || []), ...older].map((one) => [one.seq, one]));
  const events = [...known.values()].sort((a, b) => b.seq - a.seq);
  const full = (value?.events || []).length >= 200 || older.length >= 200;
  const last = Math.max(0, ...known.keys());
  const more = async () => {
    const reply = await api.get(`/tasks/${task.id}/events`, { afterSeq: last, limit: 200 });
    setOlder([...older, ...reply.events]);
  };
  return html`<details class="timeline" onToggle=${(event) => setOpen(event.currentTarget.open)}><summary>Timeline</summary>
    ${error ? html`<${Trouble} error=${error} again=${reload} />` : open && !value ? html`<${Loading} />` : html`${full && html`<${Button} small kind="more" act=${more}>Load newer<//>`}
      <ol>${events.map((one) => html`<li key=${one.seq} title=${shortId(task.id)}><span><b>${actorName(one.actor)}</b> ${sentence(one)}</span><${Time} at=${one.at} /></li>`)}</ol>`}</details>`;
}
