// The review of a task: what changed, comments on lines, and a maintainer's answer to it.
import { useEffect, useMemo, useState } from "preact/hooks";
import { api } from "../api.mjs";
import { lineDrafts } from "../drafts.mjs";
import { html } from "../html.mjs";
import { useRead } from "../loading.mjs";
import { Button, Fault, Loading, TextField, Trouble, useForm } from "../parts/controls.mjs";
import { Diff } from "../parts/diff.mjs";
import { useTakePictures } from "../parts/pictures.mjs";
import { project } from "../projects.mjs";
import { may, user } from "../session.mjs";
import { told } from "../toasts.mjs";
import { idOf } from "../words.mjs";

const HAS_DIFF = ["ready_to_test", "approved", "staging", "production", "in_progress", "needs_input", "failed"];

export function Review({ task, reload }) {
  const lines = useMemo(() => lineDrafts(task.id), [task.id]);
  useEffect(() => lines.end, [lines]);
  const drafts = lines.drafts.value;
  const setDrafts = (fresh) => (lines.drafts.value = fresh);
  const [rejecting, setRejecting] = useState(false);
  const reviewing = task.state === "ready_to_test" && may("maintainer");
  const review = { drafts, setDrafts, rejecting, setRejecting };
  useEffect(() => {
    if (!reviewing) {
      setDrafts([]);
      setRejecting(false);
    }
  }, [reviewing]);
  return html`
    ${reviewing && html`<${Decision} task=${task} review=${review} reload=${reload} />`}
    ${rejecting && html`<${Rejection} task=${task} review=${review} reload=${reload} />`}
    <${Changes} task=${task} review=${reviewing ? review : null} />
  `;
}

function Decision({ task, review, reload }) {
  const own = project.value?.separateApprover && [user.value.id, user.value.username].includes(idOf(task.createdBy));
  // A 409 says that the state is another one by now, so the task is read again whatever the answer is.
  const approve = () => api.post(`/tasks/${task.id}/approve`, { commitSha: task.headSha }).finally(reload);
  return html`<div class="actions decision">
    <${Button}
      kind="primary"
      testid="task-approve"
      act=${approve}
      disabled=${own}
      title=${
        own
          ? "This project wants the approval of a person who neither wrote the task nor pushed to its branch"
          : undefined
      }
    >
      Approve
    <//>
    <button
      type="button"
      class="button"
      data-testid="task-reject"
      aria-expanded=${review.rejecting}
      onClick=${() => review.setRejecting(!review.rejecting)}
    >
      Reject${review.drafts.length ? ` (${review.drafts.length})` : ""}…
    </button>
  </div>`;
}

function Rejection({ task, review, reload }) {
  const form = useForm({ reason: "" }, `rejection.${task.id}`);
  const pictures = useTakePictures();
  const comments = review.drafts
    .map(({ path, line, body }) => ({ path, line, body: body.value.trim() }))
    .filter(({ body }) => body);
  const submit = form.submit(async ({ reason }) => {
    const body = { reason: reason.trim() };
    if (comments.length) body.comments = comments;
    await api.post(`/tasks/${task.id}/reject`, body);
    review.setDrafts([]);
    review.setRejecting(false);
    told("Sent back to the agent.");
    await reload();
  });
  return html`<form class="callout bad" onSubmit=${submit}>
    <${TextField}
      label="Why is it not good yet?"
      name="reason"
      form=${form}
      rows="3"
      testid="reject-reason"
      ...${pictures}
      required
      hint="The agent goes on from here on the same branch, with this and the comments on lines below."
    />
    ${
      comments.length > 0 &&
      html`<ul class="draft-list">
        ${comments.map(
          (one) => html`<li key=${`${one.path}:${one.line}`}><code>${one.path}:${one.line}</code> ${one.body}</li>`,
        )}
      </ul>`
    }
    <${Fault} form=${form} />
    <footer>
      <button type="button" class="button" onClick=${() => review.setRejecting(false)}>Not now</button>
      <button class="button danger" data-testid="reject-submit" disabled=${form.busy}>
        Send back${comments.length ? ` with ${comments.length} ${comments.length === 1 ? "comment" : "comments"}` : ""}
      </button>
    </footer>
  </form>`;
}

function Changes({ task, review }) {
  const path = task.branchName && HAS_DIFF.includes(task.state) ? `/tasks/${task.id}/diff` : null;
  const { value: diff, error, reload } = useRead(path);
  useEffect(() => {
    if (diff && diff.headSha !== task.headSha) reload();
  }, [task.headSha, task.state]);
  if (!path) return null;
  const files = diff?.files || [];
  return html`<section data-testid="task-diff">
    <div class="section-head">
      <h2>Changes</h2>
      ${
        files.length > 0 &&
        html`<span class="muted">
          ${files.length} ${files.length === 1 ? "file" : "files"}
          ${" "}
          <b class="plus">+${files.reduce((sum, file) => sum + (file.additions || 0), 0)}</b>
          ${" "}
          <b class="minus">−${files.reduce((sum, file) => sum + (file.deletions || 0), 0)}</b>
        </span>`
      }
    </div>
    ${
      error && error.status === 404
        ? html`<p class="muted">Nothing has been pushed yet.</p>`
        : error
          ? html`<${Trouble} error=${error} again=${reload} />`
          : !diff
            ? html`<${Loading} />`
            : !diff.patch
              ? html`<p class="muted">Nothing has been pushed yet.</p>`
              : html`
                ${
                  review && html`<p class="muted">Choose a line to comment on it; the comments go with a rejection.</p>`
                }
                ${
                  diff.truncated &&
                  html`<p class="banner ask">This diff is too long to show whole. The rest is in the branch.</p>`
                }
                <${Diff}
                  patch=${diff.patch}
                  comments=${task.comments || []}
                  drafts=${review?.drafts || []}
                  setDrafts=${review?.setDrafts || null}
                />
              `
    }
  </section>`;
}
