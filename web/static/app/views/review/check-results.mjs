// The proof of a task, a sentence a line, red first; and letting the tests go that it names as lost.
import { toastSuccess } from "../../browser/toasts.mjs";
import { Badge, Button } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { api } from "../../server/api.mjs";
import { hasRole } from "../../server/session.mjs";
import { t, tn } from "../../words/language.mjs";
import { serverText } from "../../words/server-texts.mjs";
import { labelOf, withShortShas } from "../../words/words.mjs";
import { SCAN_ACCEPTS, SCAN_PARTS } from "./scan-results.mjs";

const ORDER = ["failed", "warned", "running", "passed", "skipped"];

// How a check counts for the eye: one that passed with a code is a warning.
const toneOf = ({ status, code }) => (code && !["failed", "running"].includes(status) ? "warned" : status);
export const isGreen = (check) => toneOf(check) === "passed";
const rank = (check) => ORDER.indexOf(toneOf(check));

export const failedFirst = (checks) => checks.toSorted((one, other) => rank(one) - rank(other));

// Its state is a colour, and a word for who does not see that.
export const CheckBadge = ({ check }) =>
  html`<${Badge}
    word=${check.status}
    shown=${toneOf(check)}
    label=${html`${labelOf(check.name)}<span class="sr">: ${labelOf(toneOf(check))}</span>`}
  />`;

const some = (count, text) => (count ? [text()] : []);

const ran = ({ ran: count, skipped }) => [
  tn(count, "One test ran", "{count} tests ran"),
  ...some(skipped, () => tn(skipped, "one was skipped", "{count} were skipped")),
];

const compared = ({ new: fresh, lost, renamed, accepted }) => [
  tn(fresh, "One test is new", "{count} tests are new"),
  lost ? tn(lost, "one is lost", "{count} are lost") : t("none is lost"),
  ...some(renamed, () => tn(renamed, "one was renamed", "{count} were renamed")),
  ...some(accepted, () => tn(accepted, "one was let go by a person", "{count} were let go by a person")),
];

const proving = ({ new: fresh, passing, failing, unable }) => [
  tn(fresh, "One test is new or changed", "{count} tests are new or changed"),
  ...some(passing, () =>
    tn(
      passing,
      "one passes without the change and proves nothing",
      "{count} pass without the change and prove nothing",
    ),
  ),
  ...some(failing, () => tn(failing, "one fails without the change", "{count} fail without the change")),
  ...some(unable, () => tn(unable, "one can't run without the change", "{count} can't run without the change")),
];

const asTheyWere = ({ kept, failing, unable }) => [
  tn(
    kept + failing + unable,
    "One test of the changed files was run as it was",
    "{count} tests of the changed files were run as they were",
  ),
  ...some(!failing && !unable, () => t("none fails")),
  ...some(failing, () =>
    tn(failing, "one passes only because it was changed", "{count} pass only because they were changed"),
  ),
  ...some(unable, () => tn(unable, "one did not run", "{count} did not run")),
];

const stated = ({ required }) => [
  tn(required, "The required status of the repository's own CI passes", "All {count} required statuses of its CI pass"),
];

const unread = (count) =>
  some(count, () => tn(count, "one file is too large to compare", "{count} files are too large to compare"));

const touched = ({ added, uncovered, unread: large }) => {
  if (!added) return [t("The coverage report knows none of the added lines"), ...unread(large)];
  return [
    tn(added, "One added line can run", "{count} added lines can run"),
    uncovered
      ? tn(uncovered, "one is touched by no test", "{count} are touched by no test")
      : t("every one is touched by a test"),
    ...unread(large),
  ];
};

const PARTS = {
  tests: ran,
  lost_tests: compared,
  new_tests: proving,
  changed_tests: asTheyWere,
  coverage: touched,
  statuses: stated,
  ...SCAN_PARTS,
};

// Of tests that are flaky, in quarantine or red below too, the numbers say less than the platform's sentence.
const isCounted = ({ name, facts }) =>
  name === "tests" ? facts?.ran !== undefined : name in PARTS && Object.keys(facts || {}).length > 0;

// By its numbers in the reader's language, where it has some; else as the platform said it.
export const checkSentence = (check) =>
  isCounted(check)
    ? `${PARTS[check.name](check.facts).join(", ")}.`
    : withShortShas(serverText(check.message)) || labelOf(check.status);

// The names in a check's log, one a line after what became of each.
const lostIn = (check) =>
  (check.log || "")
    .split("\n")
    .filter(Boolean)
    .map((line) => line.slice(line.indexOf(": ") + 2));

const MOST_NAMES = 1000;

const LOST = {
  path: "accept-lost-tests",
  namesIn: lostIn,
  label: (count) => tn(count, "Let this test go", "Let these {count} tests go"),
};
const ACCEPTS = { tests_lost: LOST, ...SCAN_ACCEPTS };

// Where the work was refused for what has names: one click lets them go, and the same commit is proven again.
export function AcceptLostTests({ task, check, reload }) {
  const accepts = ACCEPTS[check.code];
  if (!accepts || check.status !== "failed" || !hasRole("maintainer")) return null;
  const names = accepts.namesIn(check);
  if (!names.length || names.length > MOST_NAMES || task.phase === "verifying") return null;
  const accept = async () => {
    await api.post(`/tasks/${task.id}/${accepts.path}`, { names });
    toastSuccess(t("Let go. The commit is proven again, and the refusal does not count."));
    await reload?.();
  };
  return html`<${Button} act=${accept} small testid=${accepts.path}>
    ${accepts.label(names.length)}
  <//>`;
}

// The tests ran as the base defines them: from the next proof on, or at once while it is under way, they may run as the
// branch does.
export function AllowTestSetupChange({ task, check, reload }) {
  if (check.code !== "test_setup_kept" || task.mayChangeTestSetup || !hasRole("member")) return null;
  const allow = async () => {
    await api.patch(`/tasks/${task.id}`, { mayChangeTestSetup: true });
    toastSuccess(
      task.phase === "verifying"
        ? t("Its tests begin anew, as its branch defines them.")
        : t("From the next proof on, its tests run as its branch defines them."),
    );
    await reload?.();
  };
  return html`<${Button} act=${allow} small testid="let-change-setup">${t("Let it change how tests run")}<//>`;
}
