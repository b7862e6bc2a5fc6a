// The review of a task with the quick answers to it: one click approves, a reason sends it back.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { storedDraft } from "../../browser/drafts.mjs";
import { toastSuccess } from "../../browser/toasts.mjs";
import { Button } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { usePastedPictures } from "../../components/pasted-pictures.mjs";
import { TextField } from "../../forms/fields.mjs";
import { FormError, RestoredDraftNotice, useForm } from "../../forms/form.mjs";
import { sendAsComment, UnsentTextButtons } from "../../forms/unsent-text.mjs";
import { api } from "../../server/api.mjs";
import { hasRole, user } from "../../server/session.mjs";
import { project } from "../../state/projects.mjs";
import { useReview } from "../../state/review-drafts.mjs";
import { t, tn } from "../../words/language.mjs";
import { idOf } from "../../words/words.mjs";
import { Review as Changes, useTaskDiff } from "./review.mjs";

const draftOf = ({ id }) => `rejection.${id}`;

export function TaskReview({ task, reload }) {
  const review = useReview(task.id);
  const changes = useTaskDiff(task);
  const [rejecting, setRejecting] = useState(false);
  const [, draw] = useState(0);
  const isOpen = task.state === "ready_to_test" && hasRole("maintainer");
  useEffect(() => {
    if (!isOpen) setRejecting(false);
  }, [isOpen]);
  const answer = { review, rejecting, setRejecting, thrown: () => draw((times) => times + 1) };
  // What was being written when somebody else decided can still be said as a comment.
  const writes = isOpen ? rejecting : hasRole("member") && storedDraft(draftOf(task)) !== null;
  return html`
    ${isOpen && html`<${Decision} task=${task} changes=${changes} answer=${answer} reload=${reload} />`}
    ${writes && html`<${Rejection} task=${task} answer=${answer} isOver=${!isOpen} reload=${reload} />`}
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

// isOver: nobody's verdict is awaited any more.
function Rejection({ task, answer, isOver, reload }) {
  const form = useForm({ reason: "" }, draftOf(task));
  const pictures = usePastedPictures();
  const { review, setRejecting, thrown } = answer;
  const count = review.count.value;
  const box = useRef();
  // Before anything of it is seen: letters that are typed now would be keys of the review, one of which approves.
  useLayoutEffect(() => {
    if (!isOver) box.current.querySelector("textarea").focus();
  }, []);
  const leave = () => {
    setRejecting(false);
    document.querySelector("[data-testid='task-reject']")?.focus({ preventScroll: true });
  };
  const pressed = (event) => {
    // Within a word that is being composed, Escape belongs to the input method.
    if (event.key !== "Escape" || event.isComposing || isOver) return;
    event.stopPropagation();
    leave();
  };
  const submit = form.submit(async ({ reason }) => {
    await review.submit("reject", reason.trim());
    form.reset();
    setRejecting(false);
    toastSuccess(t("Sent back to the agent."));
    await reload();
  });
  const comment = sendAsComment(form, "reason", task, reload);
  const discard = () => {
    form.reset();
    thrown();
  };
  return html`<form
    class="callout bad"
    ref=${box}
    onSubmit=${isOver ? comment : submit}
    onKeyDown=${pressed}
    data-testid="rejection"
  >
    ${
      isOver
        ? html`<p class="callout-head">${t("Not sent: the task does not wait for a review any more")}</p>`
        : html`<${RestoredDraftNotice} form=${form} />`
    }
    <${TextField}
      label=${t("Why is it not good yet?")}
      name="reason"
      form=${form}
      rows="3"
      testid="reject-reason"
      ...${pictures}
      required
      hint=${
        isOver
          ? t("The agent is given it with its next run.")
          : t("The agent goes on from here on the same branch, with this and the comments on lines below.")
      }
    />
    <${FormError} form=${form} />
    <footer>
      ${
        isOver
          ? html`<${UnsentTextButtons} form=${form} discard=${discard} testid="reject" />`
          : html`
            <button type="button" class="button" onClick=${leave}>${t("Not now")}</button>
            <button class="button danger" data-testid="reject-submit" disabled=${form.busy}>
              ${count ? tn(count, "Send back with {count} comment", "Send back with {count} comments") : t("Send back")}
            </button>
          `
      }
    </footer>
  </form>`;
}
