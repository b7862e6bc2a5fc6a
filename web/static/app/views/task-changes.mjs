// The review of a task with the quick answers to it: one click approves, a reason sends it back.
import { useEffect, useState } from "preact/hooks";
import { api } from "../api.mjs";
import { html } from "../html.mjs";
import { t, tn } from "../language.mjs";
import { Button, Fault, TextField, useForm } from "../parts/controls.mjs";
import { useTakePictures } from "../parts/pictures.mjs";
import { project } from "../projects.mjs";
import { useReview } from "../reviews.mjs";
import { may, user } from "../session.mjs";
import { told } from "../toasts.mjs";
import { idOf } from "../words.mjs";
import { Review as Changes, useDiff } from "./review.mjs";

export function Review({ task, reload }) {
  const review = useReview(task.id);
  const changes = useDiff(task);
  const [rejecting, setRejecting] = useState(false);
  const isOpen = task.state === "ready_to_test" && may("maintainer");
  useEffect(() => {
    if (!isOpen) setRejecting(false);
  }, [isOpen]);
  const answer = { review, rejecting, setRejecting };
  return html`
    ${isOpen && html`<${Decision} task=${task} changes=${changes} answer=${answer} reload=${reload} />`}
    ${rejecting && html`<${Rejection} task=${task} answer=${answer} reload=${reload} />`}
    <${Changes} task=${task} changes=${changes} reload=${reload} />
  `;
}

function Decision({ task, changes, answer, reload }) {
  const own = project.value?.separateApprover && [user.value.id, user.value.username].includes(idOf(task.createdBy));
  const count = answer.review.count.value;
  // What is approved is the commit that is shown: a newer one has not been looked at. A 409 says that the state or the
  // commit is another one by now, so the task is read again whatever the answer is.
  const approve = () =>
    api
      .post(`/tasks/${task.id}/approve`, { commitSha: changes.diff?.patch ? changes.diff.headSha : task.headSha })
      .finally(reload);
  return html`<div class="actions decision">
    <${Button}
      kind="primary"
      testid="task-approve"
      act=${approve}
      disabled=${own || changes.isOld}
      title=${
        own
          ? t("This project wants the approval of a person who neither wrote the task nor pushed to its branch")
          : changes.isOld
            ? t("There is a newer commit than the one that is shown")
            : undefined
      }
    >
      ${t("Approve")}
    <//>
    <button
      type="button"
      class="button"
      data-testid="task-reject"
      aria-expanded=${answer.rejecting}
      onClick=${() => answer.setRejecting(!answer.rejecting)}
    >
      ${count ? t("Reject ({count})…", { count }) : t("Reject…")}
    </button>
  </div>`;
}

function Rejection({ task, answer, reload }) {
  const form = useForm({ reason: "" }, `rejection.${task.id}`);
  const pictures = useTakePictures();
  const { review, setRejecting } = answer;
  const count = review.count.value;
  const submit = form.submit(async ({ reason }) => {
    await review.submit("reject", reason.trim());
    setRejecting(false);
    told(t("Sent back to the agent."));
    await reload();
  });
  return html`<form class="callout bad" onSubmit=${submit}>
    <${TextField}
      label=${t("Why is it not good yet?")}
      name="reason"
      form=${form}
      rows="3"
      testid="reject-reason"
      ...${pictures}
      required
      hint=${t("The agent goes on from here on the same branch, with this and the comments on lines below.")}
    />
    <${Fault} form=${form} />
    <footer>
      <button type="button" class="button" onClick=${() => setRejecting(false)}>${t("Not now")}</button>
      <button class="button danger" data-testid="reject-submit" disabled=${form.busy}>
        ${count ? tn(count, "Send back with {count} comment", "Send back with {count} comments") : t("Send back")}
      </button>
    </footer>
  </form>`;
}
