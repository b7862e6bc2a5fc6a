// A task's comments and its timeline: what was said and what happened, and by whom.
import { useState } from "preact/hooks";
import { LoadError, Loading, LoadMore, Time } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { lazy } from "../../components/lazy.mjs";
import { Markdown } from "../../components/markdown.mjs";
import { usePastedPictures } from "../../components/pasted-pictures.mjs";
import { ResolveButton, ResolvedBy } from "../../diff/resolve-comment.mjs";
import { FieldForm, TextField } from "../../forms/fields.mjs";
import { FormEnd, useForm } from "../../forms/form.mjs";
import { api } from "../../server/api.mjs";
import { useEventHistory } from "../../server/event-history.mjs";
import { hasRole } from "../../server/session.mjs";
import { actorName } from "../../state/actors.mjs";
import { resolveComment } from "../../state/review-drafts.mjs";
import { t } from "../../words/language.mjs";
import { withRepeatsCounted } from "../activity/repeated-events.mjs";

const Sentence = lazy(
  () => import("../../words/event-sentences.mjs"),
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
export const CommentEntry = ({ of: one, open }) => html`
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
  const pictures = usePastedPictures();
  const submit = form.submit(async ({ body }) => {
    await api.post(`/tasks/${task.id}/comments`, { body: body.trim() });
    form.reset();
    await reload();
  });
  return html`<${FieldForm} of=${form} onSubmit=${submit}>
    <${TextField}
      label=${t("Add a comment")}
      name="body"
      rows="2"
      testid="comment-body"
      ...${pictures}
      required
      readonly=${form.busy}
      hint=${t("The agent is given it with its next run.")}
    />
    <${FormEnd} form=${form} kind="" testid="comment-submit">${t("Comment")}<//>
  <//>`;
}

// A resolved one is folded.
function Comment({ task, of: one, open, reload }) {
  const act = async (comment) => {
    await resolveComment(task.id, comment);
    await reload();
  };
  const said = html`<${CommentEntry} of=${one} open=${open} /> <${ResolveButton} comment=${one} act=${act} />`;
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
      hasRole("member")
        ? html`<${CommentForm} task=${task} reload=${reload} />`
        : !comments.length && html`<p class="muted">${t("Nobody has commented.")}</p>`
    }
  </section>`;
}

// Each rollback that moves a task is on record as a change of this field. By turns it leaves production and returns to
// it; isOut says where the last one of them, which comes first here, has left it.
const MOVED = "rolledBackAt";
function withRollbacks(events, isOut) {
  let wasOut = isOut;
  return events.map((one) => {
    if (one.event !== "task:updated" || !one.data?.changed?.includes(MOVED)) return one;
    wasOut = !wasOut;
    return { ...one, event: wasOut ? "brought back" : "taken back" };
  });
}

export function Timeline({ task, begin = false }) {
  const [open, setOpen] = useState(begin);
  const { events, hasMore, error, more, again } = useEventHistory(
    open ? task.id : "",
    (query) => api.get(`/tasks/${task.id}/events`, query),
    ({ event, data }) => data?.taskId === task.id && event !== "task:log" && event !== "task:progress",
  );
  return html`<details class="timeline" open=${open} onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary>${t("Timeline")}</summary>
    ${
      error
        ? html`<${LoadError} error=${error} again=${again} />`
        : !events
          ? html`<${Loading} />`
          : html`<ol>
            ${withRepeatsCounted(withRollbacks(events, !!task.rolledBackAt)).map(
              (one) =>
                html`<li key=${one.seq}>
                  <span><b>${actorName(one.actor)}</b> <${Sentence} of=${one} /></span>
                  <${Time} at=${one.at} />
                </li>`,
            )}
          </ol>`
    }
    <${LoadMore} pages=${{ hasMore, more }} />
  </details>`;
}
