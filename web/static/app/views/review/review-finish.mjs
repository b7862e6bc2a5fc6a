// The end of a review: a verdict, a word about it, and the comments that go along.
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { storedDraft, storeDraft } from "../../browser/drafts.mjs";
import { toastError, toastSuccess, toastUndoable } from "../../browser/toasts.mjs";
import { Button } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { usePastedPictures } from "../../components/pasted-pictures.mjs";
import { lineRangeText } from "../../diff/diff-notes.mjs";
import { TextField } from "../../forms/fields.mjs";
import { FormError, useForm } from "../../forms/form.mjs";
import { hasRole, user } from "../../server/session.mjs";
import { project } from "../../state/projects.mjs";
import { t, tn } from "../../words/language.mjs";
import { idOf } from "../../words/words.mjs";

const VERDICTS = {
  comment: {
    label: () => t("Comment"),
    hint: () => t("Say something, and change nothing. The agent is given it with its next run."),
    done: () => t("Commented."),
    kind: "",
  },
  approve: {
    label: () => t("Approve"),
    hint: () => t("This commit may be delivered."),
    done: () => t("Approved."),
    kind: "primary",
  },
  reject: {
    label: () => t("Reject"),
    hint: () => t("Back to the agent, which goes on from here with all of this."),
    done: () => t("Sent back to the agent."),
    kind: "danger",
  },
};

// What this person may say of the task as it stands.
export function verdictsFor(task) {
  if (task.state !== "ready_to_test" || !hasRole("maintainer")) return ["comment"];
  const own = project.value?.separateApprover && [user.value.id, user.value.username].includes(idOf(task.createdBy));
  return own ? ["comment", "reject"] : ["comment", "approve", "reject"];
}

export function FinishReview({ task, review, headSha, reload }) {
  const draftKey = `review.${task.id}`;
  const form = useForm({ body: "" }, draftKey);
  const pictures = usePastedPictures();
  const box = useRef();
  const allowed = verdictsFor(task);
  const verdict = allowed.includes(review.finishing.value) ? review.finishing.value : "comment";
  const { label, done, kind } = VERDICTS[verdict];
  const written = [...review.pending.value, ...review.editors.value.filter(({ id }) => !id)];
  const count = review.count.value;
  // Before anything of it is seen: the next key pressed already belongs here.
  useLayoutEffect(() => {
    const field = box.current.querySelector(verdict === "approve" ? "[data-testid='review-submit']" : "textarea");
    field.focus({ preventScroll: true });
    box.current.scrollIntoView({ block: "nearest" });
  }, [verdict]);
  useEffect(
    () => () =>
      setTimeout(() => {
        if (document.activeElement === document.body)
          document.querySelector("[data-testid='review-finish']")?.focus({ preventScroll: true });
      }),
    [],
  );
  const submit = form.submit(async ({ body }) => {
    try {
      await review.submit(verdict, body.trim(), headSha);
      toastSuccess(done());
    } finally {
      // A 409 says that the state or the commit is another one by now.
      await reload();
    }
  });
  const discard = async () => {
    const general = storedDraft(draftKey);
    const bringBack = await review.discard();
    form.reset();
    toastUndoable(t("The review is discarded."), () => {
      if (!storedDraft(draftKey)) storeDraft(draftKey, general);
      return bringBack().catch(toastError);
    });
  };
  const pressed = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
    // Within a word that is being composed, Escape belongs to the input method.
    if (event.key !== "Escape" || event.isComposing) return;
    event.stopPropagation();
    review.finishing.value = null;
  };
  return html`<form class="callout review-finish" ref=${box} onSubmit=${submit} onKeyDown=${pressed}>
    <fieldset class="verdicts">
      <legend>${t("Finish the review")}</legend>
      ${allowed.map(
        (one) =>
          html`<label key=${one} class="check">
            <input
              type="radio"
              name="verdict"
              value=${one}
              data-testid=${`review-verdict-${one}`}
              checked=${one === verdict}
              onChange=${() => (review.finishing.value = one)}
            />
            <span>${VERDICTS[one].label()}<small>${VERDICTS[one].hint()}</small></span>
          </label>`,
      )}
    </fieldset>
    <${TextField}
      label=${verdict === "reject" ? t("Why is it not good yet?") : t("In general")}
      name="body"
      form=${form}
      rows="3"
      testid="review-body"
      ...${pictures}
      required=${verdict === "reject" || (verdict === "comment" && !count)}
    />
    ${
      written.length > 0 &&
      html`<ul class="draft-list">
        ${written.map(
          (one, index) =>
            html`<li key=${one.id || `new ${index}`}>
              <code>${one.path}</code> ${one.line && html`<span class="muted">${lineRangeText(one)}</span>`}
              ${" "}${one.id ? one.body : one.body.value}
            </li>`,
        )}
      </ul>`
    }
    <${FormError} form=${form} />
    <footer>
      ${
        count > 0 &&
        html`<${Button} kind="ghost" act=${discard} testid="review-discard">${t("Discard the review")}<//>
          <span class="grow"></span>`
      }
      <button type="button" class="button" onClick=${() => (review.finishing.value = null)}>${t("Not now")}</button>
      <button class=${`button ${kind}`} data-testid="review-submit" disabled=${form.busy}>
        ${label()}${count > 0 && ` · ${tn(count, "{count} comment", "{count} comments")}`}
      </button>
    </footer>
  </form>`;
}
