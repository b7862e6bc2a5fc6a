// What the platform proved of a task, in one line.
import { html } from "../html.mjs";
import { t } from "../language.mjs";
import { Badge } from "../parts/controls.mjs";
import { brief, say } from "../words.mjs";

const isOld = ({ commitSha }, headSha) => Boolean(commitSha && headSha && commitSha !== headSha);

export function CheckLine({ task }) {
  const checks = task.checks || [];
  if (!checks.length) return null;
  const red = checks.filter(({ status }) => status === "failed");
  return html`<div class="check-line" data-testid="task-check-line">
    <span class="muted">${t("Checks")}</span>
    ${checks.map(
      (check) =>
        html`<span key=${check.name} class=${isOld(check, task.headSha) ? "old" : ""} title=${brief(check.message)}>
          <${Badge} word=${check.status} label=${say(check.name)} />
        </span>`,
    )}
    ${red.map((check) => html`<p key=${check.name} class="bad-text">${brief(check.message)}</p>`)}
  </div>`;
}
