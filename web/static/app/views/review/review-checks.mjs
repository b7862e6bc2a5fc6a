// What the platform proved of a commit, a sentence for each check, red first. What is red or running is open, with
// the end of its log.
import { classNames, Output, Time } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { t } from "../../words/language.mjs";
import { shortSha } from "../../words/words.mjs";
import { AcceptLostTests, AllowTestSetupChange, CheckBadge, checkSentence, failedFirst } from "./check-results.mjs";
import { OverruleReview } from "./overrule-review.mjs";

const TAIL = 40;

function Check({ check, task, reload }) {
  const { headSha } = task;
  const isOld = check.commitSha && headSha && check.commitSha !== headSha;
  const line = html`
    <${CheckBadge} check=${check} />
    <span>${checkSentence(check)}</span>
    <code>${shortSha(check.commitSha)}</code>
    <${Time} at=${check.at} />
  `;
  const lines = check.log?.trimEnd().split("\n");
  const isRed = check.status === "failed";
  const logged = () =>
    html`<details open=${isRed || check.status === "running"}>
      <summary>${line}</summary>
      <${AcceptLostTests} task=${task} check=${check} reload=${reload} />
      <${AllowTestSetupChange} task=${task} check=${check} reload=${reload} />
      <${Output} lines=${isRed ? lines.slice(-TAIL) : lines} empty=${t("It printed nothing.")} testid="check-log" />
      ${isRed && lines.length > TAIL && html`<p class="muted">${t("The last {count} lines.", { count: TAIL })}</p>`}
    </details>`;
  // The dialog of the last part stays where it is when the check gets its log.
  return html`<li class=${classNames(lines && "has-log", isOld && "old")}>
    ${lines ? logged() : line}
    <${OverruleReview} task=${task} check=${check} reload=${reload} />
  </li>`;
}

export function ReviewChecks({ task, reload }) {
  const checks = failedFirst(task.checks || []);
  if (!checks.length) return null;
  return html`<section class="review-checks">
    <h2>${t("Proven by the platform")}</h2>
    <ul class="checks" data-testid="task-checks">
      ${checks.map((check) => html`<${Check} key=${check.name} check=${check} task=${task} reload=${reload} />`)}
    </ul>
  </section>`;
}
