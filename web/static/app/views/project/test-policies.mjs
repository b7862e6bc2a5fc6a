// What becomes of work that loses tests, or whose new tests prove nothing, where the tests write their report,
// and which statuses of its own CI the repository needs.
import { html } from "../../components/html.mjs";
import { SelectField, TextField } from "../../forms/fields.mjs";
import { mark, t, tPairs } from "../../words/language.mjs";

export const REFUSE = ["refuse", mark("Refuse the work")];
export const WARN = ["warn", mark("Warn the reviewer")];
export const OFF = ["off", mark("Do not look")];

// value: what a new project begins with.
export const POLICIES = [
  { name: "testsLost", value: "refuse", options: [REFUSE, WARN] },
  { name: "testsFirst", value: "warn", options: [REFUSE, WARN, OFF] },
  {
    name: "coverage",
    value: "run",
    options: [["run", mark("Measure them")], ["read", mark("Only read the tests' own report")], OFF],
  },
];
const optionsOf = (wanted) => tPairs(POLICIES.find(({ name }) => name === wanted).options);

export function TestPolicies() {
  return html`<div class="pair">
    <${SelectField}
      label=${t("Tests that do not run any more")}
      hint=${t(
        "Tests of the default branch that were deleted, skipped or emptied. A renamed test is known by its body.",
      )}
      name="testsLost"
      testid="project-tests-lost"
      options=${optionsOf("testsLost")}
    />
    <${SelectField}
      label=${t("New tests that pass without the change")}
      hint=${`${t("They prove nothing of it. Tasks labelled tests or refactor are left alone.")} ${t(
        "If nobody looks, changed tests are not run as they were, either.",
      )}`}
      name="testsFirst"
      testid="project-tests-first"
      options=${optionsOf("testsFirst")}
    />
  </div>`;
}

export function CoverageField() {
  return html`<${SelectField}
    label=${t("Added lines that no test touches")}
    hint=${t(
      "Measured after the proof, by running the tests once more. Nobody waits for it, and it never refuses work.",
    )}
    name="coverage"
    testid="project-coverage"
    options=${optionsOf("coverage")}
  />`;
}

export function TestSetupField() {
  return html`<${TextField}
    label=${t("Files that define how tests run")}
    hint=${t(
      "One a line, as in .gitignore. A proof takes them from the default branch, unless the task may change them. " +
        "Of a package file only its scripts and options count.",
    )}
    name="testSetup"
    testid="project-test-setup"
    rows="3"
    spellcheck=${false}
  />`;
}

export function GroupTestRunsField() {
  return html`<${TextField}
    label=${t("Green runs before a group lands")}
    hint=${t(
      "How often in a row the tests of a group must be green, which finds what a task breaks only now and then. " +
        "0: five times, or as often as two more minutes allow.",
    )}
    name="groupTestRuns"
    testid="project-group-test-runs"
    type="number"
    min="0"
    max="10"
    placeholder="0"
  />`;
}

export function QuarantineField() {
  return html`<${TextField}
    label=${t("Tests in quarantine at once")}
    hint=${t("Flaky tests whose failures a maintainer may let count for nothing.")}
    name="mostQuarantined"
    testid="project-most-quarantined"
    type="number"
    min="0"
    max="100"
    placeholder="5"
  />`;
}

export function TestReportField() {
  return html`<${TextField}
    label=${t("Test report")}
    hint=${t(
      "JUnit XML of the tests, such as reports/*.xml. Empty: the usual runners'. Jest and others: see docs/tests.md.",
    )}
    name="testReport"
    testid="project-test-report"
    spellcheck=${false}
  />`;
}

export function StatusesField() {
  return html`<${TextField}
    label=${t("Required statuses")}
    hint=${t("One a line: what the repository's own CI has to say of each commit, such as ci/build. Needs Gitea.")}
    name="requiredStatuses"
    testid="project-required-statuses"
    rows="2"
    spellcheck=${false}
  />`;
}
