// What becomes of work that adds secrets, or dependencies with known faults.
import { html } from "../../components/html.mjs";
import { SelectField } from "../../forms/fields.mjs";
import { t, tPairs } from "../../words/language.mjs";
import { OFF, REFUSE, WARN } from "./test-policies.mjs";

const OPTIONS = [REFUSE, WARN, OFF];

// value: what a new project begins with.
export const SCAN_POLICIES = [
  { name: "secretScan", value: "warn" },
  { name: "dependencyScan", value: "warn" },
];

export function ScanPolicies() {
  return html`<div class="pair">
    <${SelectField}
      label=${t("Secrets in the lines that a task adds")}
      hint=${t("Keys and passwords by their form, and the values of this project's secret variables.")}
      name="secretScan"
      testid="project-secret-scan"
      options=${tPairs(OPTIONS)}
    />
    <${SelectField}
      label=${t("New dependencies with known faults")}
      hint=${t("Versions in lock files that the advisories of the platform's operator name.")}
      name="dependencyScan"
      testid="project-dependency-scan"
      options=${tPairs(OPTIONS)}
    />
  </div>`;
}
