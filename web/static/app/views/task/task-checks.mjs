// What the platform proved of a task, in one line: how much is green, and what is not. Below it a sentence for all that
// is red or a warning.
import { Badge, classNames } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { t, tn } from "../../words/language.mjs";
import { serverText } from "../../words/server-texts.mjs";
import { labelOf, withShortShas } from "../../words/words.mjs";
import {
  AcceptLostTests,
  AllowTestSetupChange,
  CheckBadge,
  checkSentence,
  failedFirst,
  isGreen,
} from "../review/check-results.mjs";
import { OverruleReview } from "../review/overrule-review.mjs";

const isOld = ({ commitSha }, headSha) => Boolean(commitSha && headSha && commitSha !== headSha);

export function CheckLine({ task, reload }) {
  const checks = failedFirst(task.checks || []);
  if (!checks.length) return null;
  const green = checks.filter((check) => isGreen(check) && !isOld(check, task.headSha));
  const others = checks.filter((check) => !green.includes(check));
  const said = checks.filter(
    ({ name, status, code }) => status === "failed" || code || (name === "agent_review" && status === "running"),
  );
  return html`<div class="check-line" data-testid="task-check-line">
    <span class="muted">${t("Checks")}</span>
    ${
      green.length > 0 &&
      html`<span key="green" title=${green.map(({ name }) => labelOf(name)).join(", ")}>
        <${Badge} word="passed" label=${tn(green.length, "One passed", "{count} passed")} />
      </span>`
    }
    ${others.map(
      (check) =>
        html`<span
          key=${check.name}
          class=${isOld(check, task.headSha) ? "old" : ""}
          title=${withShortShas(serverText(check.message))}
        >
          <${CheckBadge} check=${check} />
        </span>`,
    )}
    ${said.map(
      (check) =>
        html`<p key=${check.name} class=${classNames(check.status === "failed" && "bad-text")}>
          ${check.status === "failed" ? withShortShas(serverText(check.message)) : checkSentence(check)}${" "}
          <${AcceptLostTests} task=${task} check=${check} reload=${reload} />
          <${AllowTestSetupChange} task=${task} check=${check} reload=${reload} />
          <${OverruleReview} task=${task} check=${check} reload=${reload} />
        </p>`,
    )}
  </div>`;
}
