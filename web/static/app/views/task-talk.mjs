// A task's comments and its timeline: what was said and what happened, and by whom.
import { useEffect, useState } from "preact/hooks";
import { api } from "../api.mjs";
import { html } from "../html.mjs";
import { t } from "../language.mjs";
import { useLive } from "../loading.mjs";
import { Fault, Loading, TextField, Time, Trouble, useForm } from "../parts/controls.mjs";
import { lazy } from "../parts/lazy.mjs";
import { Markdown } from "../parts/markdown.mjs";
import { useTakePictures } from "../parts/pictures.mjs";
import { ResolveButton, ResolvedBy } from "../parts/resolving.mjs";
import { resolveComment } from "../reviews.mjs";
import { may } from "../session.mjs";
import { actorName } from "../words.mjs";

const Sentence = lazy(
  () => import("../parts/event-words.mjs"),
  "Sentence",
  () => null,
);

// What the platform hands back ends in a program's output, and that is no Markdown.
const IS_OUTPUT = ["refusal", "group"];
const kinds = () => ({
  rejection: t("Rejection"),
  refusal: t("Refused by the platform"),
  group: t("Taken out of its group"),
  message: t("To the agent"),
  note: t("Handed back"),
});

function Output({ text, open }) {
  const [first, ...rest] = text.replace(/^[a-z]+(_[a-z]+)*: /, "").split("\n");
  const output = rest.join("\n").trim();
  if (!output) return html`<p>${first}</p>`;
  return html`<details open=${open}>
    <summary>${first}</summary>
    <pre class="lines" tabindex="0" role="group" aria-label=${t("Output")}>${output}</pre>
  </details>`;
}

// One comment: who said it, where, whether the agent has it, and what it says. open: its output, if it has some.
export const Said = ({ of: one, open }) => html`
  <p class="comment-head">
    <b>${actorName(one.author)}</b>
    <${Time} at=${one.createdAt} />
    ${kinds()[one.kind] && html`<span class="chip">${kinds()[one.kind]}</span>`}
    ${one.path && html`<code>${one.path}${one.line ? `:${one.line}` : ""}</code>`}
    ${
      one.deliveredAt
        ? html`<span class="muted">${t("Read by the agent")}</span>`
        : !one.resolvedAt && html`<span class="muted">${t("Waits for the agent's next run")}</span>`
    }
    ${one.resolvedAt && html`<${ResolvedBy} comment=${one} />`}
  </p>
  ${
    IS_OUTPUT.includes(one.kind)
      ? html`<${Output} text=${one.body} open=${open} />`
      : html`<${Markdown} text=${one.body} />`
  }
`;

export const commentDraft = ({ id }) => `comment.${id}`;

export function CommentForm({ task, reload }) {
  const form = useForm({ body: "" }, commentDraft(task));
  const pictures = useTakePictures();
  const submit = form.submit(async ({ body }) => {
    await api.post(`/tasks/${task.id}/comments`, { body: body.trim() });
    form.reset();
    await reload();
  });
  return html`<form onSubmit=${submit}>
    <${TextField}
      label=${t("Add a comment")}
      name="body"
      form=${form}
      rows="2"
      testid="comment-body"
      ...${pictures}
      required
      readonly=${form.busy}
      hint=${t("The agent is given it with its next run.")}
    />
    <${Fault} form=${form} />
    <footer><button class="button" data-testid="comment-submit" disabled=${form.busy}>${t("Comment")}</button></footer>
  </form>`;
}

// A resolved one is folded.
function Comment({ task, of: one, open, reload }) {
  const act = async (comment) => {
    await resolveComment(task.id, comment);
    await reload();
  };
  const said = html`<${Said} of=${one} open=${open} /> <${ResolveButton} comment=${one} act=${act} />`;
  if (!one.resolvedAt) return said;
  return html`<details data-testid="comment-resolved">
    <summary>${actorName(one.author)}: <${ResolvedBy} comment=${one} /></summary>
    ${said}
  </details>`;
}

export function Comments({ task, reload }) {
  const comments = task.comments || [];
  return html`<section>
    <h2>${t("Comments")}</h2>
    <ul class="comments" data-testid="task-comments">
      ${comments.map(
        (one) =>
          html`<li key=${one.id}>
            <${Comment} task=${task} of=${one} open=${one === comments.at(-1)} reload=${reload} />
          </li>`,
      )}
    </ul>
    ${
      may("member")
        ? html`<${CommentForm} task=${task} reload=${reload} />`
        : !comments.length && html`<p class="muted">${t("Nobody has commented.")}</p>`
    }
  </section>`;
}

// Each rollback that moves a task is on record as a change of this field: the first one took it out of production, the
// second one brought it back, and so on.
const MOVED = "rolledBackAt";
function withRollbacks(events) {
  let isOut = false;
  return events.map((one) => {
    if (one.event !== "task:updated" || !one.data?.changed?.includes(MOVED)) return one;
    isOut = !isOut;
    return { ...one, event: isOut ? "taken back" : "brought back" };
  });
}

// Everything of a task that is on record, oldest first, page after page.
async function readTimeline(taskId) {
  const events = [];
  for (let page = 0; page < 50; page += 1) {
    const reply = await api.get(`/tasks/${taskId}/events`, { afterSeq: events.at(-1)?.seq });
    events.push(...reply.events);
    if (reply.events.length < 50) break;
  }
  return events;
}

export function Timeline({ task, begin = false }) {
  const [open, setOpen] = useState(begin);
  const [state, setState] = useState({ events: null, error: null });
  const read = async () => {
    if (!open) return;
    try {
      setState({ events: await readTimeline(task.id), error: null });
    } catch (error) {
      setState((old) => ({ ...old, error }));
    }
  };
  useEffect(() => {
    read();
  }, [open, task.id]);
  useLive(({ event, data }) => data?.taskId === task.id && event !== "task:log" && event !== "task:progress", read);
  const { events, error } = state;
  return html`<details class="timeline" open=${open} onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary>${t("Timeline")}</summary>
    ${
      error && !events
        ? html`<${Trouble} error=${error} again=${read} />`
        : !events
          ? html`<${Loading} />`
          : html`<ol>
            ${withRollbacks(events)
              .reverse()
              .map(
                (one) =>
                  html`<li key=${one.seq}>
                  <span><b>${actorName(one.actor)}</b> <${Sentence} of=${one} /></span>
                  <${Time} at=${one.at} />
                </li>`,
              )}
          </ol>`
    }
  </details>`;
}
