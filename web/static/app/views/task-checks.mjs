// What the platform proved of a task: in one line for its panel, with the logs for its page.
import { html } from "../html.mjs";
import { t } from "../language.mjs";
import { Badge, Time } from "../parts/controls.mjs";
import { brief, say, sha } from "../words.mjs";

const isOld = ({ commitSha }, headSha) => Boolean(commitSha && headSha && commitSha !== headSha);

export function CheckLine({ task }) {
  const checks = task.checks || [];
  if (!checks.length) return null;
  const red = checks.filter(({ status }) => status === "failed");
  return html`<div class="check-line" data-testid="task-checks">
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

export function Checks({ task }) {
  const checks = task.checks || [];
  if (!checks.length) return null;
  return html`<section>
    <h2>${t("Proven by the platform")}</h2>
    <ul class="checks" data-testid="task-checks">
      ${checks.map(
        (check) =>
          html`<li key=${check.name} class=${isOld(check, task.headSha) ? "old" : ""}>
            <${Badge} word=${check.status} label=${say(check.name)} />
            <span>${brief(check.message) || say(check.status)}</span>
            <code>${sha(check.commitSha)}</code>
            <${Time} at=${check.at} />
          </li>`,
      )}
    </ul>
    ${checks
      .filter(({ log }) => log)
      .map(
        (check) =>
          html`<details key=${check.name} open=${check.status === "failed"}>
            <summary>${t("What {check} printed", { check: say(check.name) })}</summary>
            <pre class="lines" tabindex="0" role="group" aria-label=${t("Output")}>${check.log}</pre>
          </details>`,
      )}
  </section>`;
}
