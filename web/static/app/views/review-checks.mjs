// What the platform proved of a task's commit, one line for each check; a red one opens with the end of its log.
import { html } from "../html.mjs";
import { t } from "../language.mjs";
import { Badge, cls, Lines, Time } from "../parts/controls.mjs";
import { brief, say, sha } from "../words.mjs";

const TAIL = 40;

function Check({ check, headSha }) {
  const isOld = check.commitSha && headSha && check.commitSha !== headSha;
  const line = html`
    <${Badge} word=${check.status} label=${say(check.name)} />
    <span>${brief(check.message) || say(check.status)}</span>
    <code>${sha(check.commitSha)}</code>
    <${Time} at=${check.at} />
  `;
  if (!check.log) return html`<li class=${cls(isOld && "old")}>${line}</li>`;
  const lines = check.log.trimEnd().split("\n");
  const isRed = check.status === "failed";
  return html`<li class=${cls("has-log", isOld && "old")}>
    <details open=${isRed}>
      <summary>${line}</summary>
      <${Lines} lines=${isRed ? lines.slice(-TAIL) : lines} empty=${t("It printed nothing.")} testid="check-log" />
      ${isRed && lines.length > TAIL && html`<p class="muted">${t("The last {count} lines.", { count: TAIL })}</p>`}
    </details>
  </li>`;
}

export function Checks({ checks, headSha }) {
  if (!checks.length) return null;
  return html`<section class="review-checks">
    <h2>${t("Proven by the platform")}</h2>
    <ul class="checks" data-testid="task-checks">
      ${checks.map((check) => html`<${Check} key=${check.name} check=${check} headSha=${headSha} />`)}
    </ul>
  </section>`;
}
