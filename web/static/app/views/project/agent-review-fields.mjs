// Which agent reviews proven work, and whether its verdict counts. For a project's form.
import { html } from "../../components/html.mjs";
import { SelectField, TextField } from "../../forms/fields.mjs";
import { limitsDraft, limitsOf } from "../../forms/run-limits.mjs";
import { mark, t, tPairs } from "../../words/language.mjs";

const MODES = [
  ["", mark("No review")],
  ["advisory", mark("People read the verdict")],
  ["blocking", mark("Requested changes send the work back")],
];

export function agentReviewDraft(review) {
  return {
    "agentReview.mode": review?.mode ?? "",
    "agentReview.driver": review?.driver ?? "",
    "agentReview.model": review?.model ?? "",
    ...limitsDraft("agentReview", review?.limits),
  };
}

// The API's body: null where no agent reviews.
export function agentReview(draft) {
  if (!draft["agentReview.mode"]) return null;
  return {
    mode: draft["agentReview.mode"],
    driver: draft["agentReview.driver"].trim(),
    model: draft["agentReview.model"].trim() || null,
    limits: limitsOf(draft, "agentReview"),
  };
}

const Limit = (props) => html`<${TextField} type="number" min="0" step="any" ...${props} />`;

export const AgentReviewFields = ({ form }) => html`
  <div class="triple">
    <${SelectField}
      label=${t("Review by another agent")}
      hint=${t("After the proof, of exactly the proven commit. A verdict is an opinion: it never replaces the proof.")}
      name="agentReview.mode"
      testid="project-agent-review"
      options=${tPairs(MODES)}
    />
    <${TextField}
      label=${t("The reviewer's driver")}
      name="agentReview.driver"
      testid="project-review-driver"
      list="known-drivers"
      hint=${t("Best another one than that which does the work.")}
      spellcheck=${false}
    />
    <${TextField}
      label=${t("The reviewer's model")}
      name="agentReview.model"
      list="known-models"
      hint=${t("Empty: the driver's own choice.")}
      spellcheck=${false}
    />
  </div>
  ${
    form.draft["agentReview.mode"] &&
    html`<div class="triple">
      <${Limit} label=${t("Most cost a review")} name="agentReview.maxCostUsd" hint=${t("US dollars")} />
      <${Limit} label=${t("Most tokens a review")} name="agentReview.maxTokens" step="1" />
      <${Limit} label=${t("Most minutes a review")} name="agentReview.maxMinutes" />
    </div>`
  }
`;
