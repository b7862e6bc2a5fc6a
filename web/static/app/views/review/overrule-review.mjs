// A person goes on with a commit without the review by another agent, and says why.
import { useState } from "preact/hooks";
import { toastSuccess } from "../../browser/toasts.mjs";
import { Dialog } from "../../components/dialogs.mjs";
import { html } from "../../components/html.mjs";
import { FieldForm, TextField } from "../../forms/fields.mjs";
import { FormError, useForm } from "../../forms/form.mjs";
import { api } from "../../server/api.mjs";
import { hasRole } from "../../server/session.mjs";
import { t } from "../../words/language.mjs";

// Where a review has stopped the work, or is still awaited.
export function OverruleReview({ task, check, reload }) {
  // The check that was asked about: with another commit it is another review.
  const [asking, setAsking] = useState(null);
  // While the commit is proven, a review that has stopped it is being looked at again.
  const isInTheWay = check.status === (task.phase === "verifying" ? "running" : "failed");
  const isAtWork = ["backlog", "in_progress", "needs_input", "failed"].includes(task.state) && task.phase !== "held";
  const isOffered = check.name === "agent_review" && isInTheWay && isAtWork && hasRole("maintainer");
  return html`
    ${
      isOffered &&
      html`<button type="button" class="button small" data-testid="overrule-review" onClick=${() => setAsking(check)}>
        ${t("Go on without this review")}
      </button>`
    }
    ${
      asking &&
      asking.commitSha === check.commitSha &&
      html`<${Ask} task=${task} reload=${reload} close=${() => setAsking(null)} />`
    }
  `;
}

function Ask({ task, reload, close }) {
  const form = useForm({ reason: "" });
  const submit = form.submit(async ({ reason }) => {
    try {
      await api.post(`/tasks/${task.id}/overrule-review`, { reason: reason.trim() });
      toastSuccess(t("The commit goes on without this review."));
      close();
    } finally {
      // A 409 says that the review has passed or is void by now.
      await reload?.();
    }
  });
  return html`<${Dialog} title=${t("Go on without this review?")} close=${close}>
    <${FieldForm} of=${form} onSubmit=${submit}>
      <p class="muted">${t("For this commit alone: what is pushed later is reviewed again.")}</p>
      <${TextField}
        label=${t("Why")}
        name="reason"
        required
        maxlength="500"
        hint=${t("It is in the task's timeline and in the receipt.")}
        testid="overrule-reason"
      />
      <${FormError} form=${form} />
      <footer>
        <button type="button" class="button" onClick=${close}>${t("Cancel")}</button>
        <button
          class="button primary"
          data-testid="overrule-confirm"
          disabled=${form.busy || !form.draft.reason.trim()}
        >
          ${t("Go on without it")}
        </button>
      </footer>
    <//>
  <//>`;
}
