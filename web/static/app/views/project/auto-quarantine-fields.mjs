// The rule that puts flaky tests into quarantine by itself. For a project's form.
import { html } from "../../components/html.mjs";
import { TextField } from "../../forms/fields.mjs";
import { t } from "../../words/language.mjs";

const NUMBERS = ["commits", "days"];
const USUAL_DAYS = 14;

export function autoQuarantineDraft(rule) {
  const draft = { "autoQuarantine.owner": rule?.owner ?? "" };
  for (const name of NUMBERS) draft[`autoQuarantine.${name}`] = rule?.[name] ?? "";
  return draft;
}

// The API's body: null where maintainers do it by hand.
export function autoQuarantine(draft) {
  if (`${draft["autoQuarantine.commits"] ?? ""}` === "") return null;
  return {
    commits: Number(draft["autoQuarantine.commits"]),
    days: Number(draft["autoQuarantine.days"] || USUAL_DAYS),
    owner: draft["autoQuarantine.owner"].trim(),
  };
}

export const AutoQuarantineFields = () => html`
  <div class="triple">
    <${TextField}
      label=${t("Quarantine by itself after")}
      hint=${t(
        "Commits on which a test was red and green, those of one task counted once. Empty: maintainers do it by hand.",
      )}
      name="autoQuarantine.commits"
      testid="project-auto-quarantine"
      type="number"
      min="2"
      max="50"
    />
    <${TextField}
      label=${t("In quarantine for")}
      hint=${t("Days")}
      name="autoQuarantine.days"
      testid="project-auto-quarantine-days"
      type="number"
      min="1"
      max="90"
      placeholder=${`${USUAL_DAYS}`}
    />
    <${TextField}
      label=${t("Who answers for the rule")}
      hint=${t("User name of a maintainer. Without that person the rule stops.")}
      name="autoQuarantine.owner"
      testid="project-auto-quarantine-owner"
      spellcheck=${false}
    />
  </div>
`;
