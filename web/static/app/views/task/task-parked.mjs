// A parked task: why it waits, until when, and going on or beginning now. At a cap: raising it with one click.
import { useState } from "preact/hooks";
import { toastSuccess } from "../../browser/toasts.mjs";
import { Button } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { Countdown, isParked, parkedText } from "../../components/parked-task.mjs";
import { amountText, CapBars, capOwnerText, isCapReached, usageText } from "../../forms/spending-caps.mjs";
import { api } from "../../server/api.mjs";
import { useAction } from "../../server/loading.mjs";
import { hasRole } from "../../server/session.mjs";
import { t } from "../../words/language.mjs";
import { serverText } from "../../words/server-texts.mjs";

// The states in which agents are still to work on a task.
const WAITING = ["backlog", "in_progress", "needs_input"];
const IS_WHOLE = ["tokens", "runs"];
const RAISED_BY = { task: "member", project: "maintainer", platform: "admin" };

const whoRaises = () => ({
  admin: t("An admin can raise this cap."),
  maintainer: t("A maintainer can raise this cap."),
  member: t("A member can raise this cap."),
});

export function Parked({ task, reload }) {
  const reached = (task.capState || []).filter(isCapReached);
  const raises = reached.map(
    (use) =>
      html`<${Raise}
        key=${`${use.scope} ${use.period} ${use.cap}`}
        task=${task}
        use=${use}
        isLast=${reached.length === 1}
        reload=${reload}
      />`,
  );
  if (!isParked(task)) {
    if (!reached.length || !WAITING.includes(task.state)) return null;
    return html`<section class="callout ask parked" data-testid="task-at-cap">
      <p class="callout-head">${t("A cap is reached")}</p>
      ${raises}
    </section>`;
  }
  const { code, reason, until } = task.parked;
  const resume = async () => {
    try {
      await api.post(`/tasks/${task.id}/resume`);
    } finally {
      await reload();
    }
  };
  return html`<section class="callout ask parked" data-testid="task-parked" data-code=${code}>
    <p class="callout-head">
      ${parkedText(task.parked)}
      ${until && html`<${Countdown} until=${until} />`}
    </p>
    <p>${serverText(reason)}</p>
    ${
      code !== "files" &&
      html`<p class="muted">
        ${
          code === "cap"
            ? t("Its work and its session are kept; its agent does other tasks meanwhile.")
            : t("It goes on by itself then, in the same session. Its agent does other tasks meanwhile.")
        }
      </p>`
    }
    ${raises}
    ${
      hasRole("member") &&
      html`<div class="actions">
        <${Button} kind=${code === "cap" ? undefined : "primary"} testid="task-resume" act=${resume}>
          ${t("Go on now")}
        <//>
      </div>`
    }
  </section>`;
}

// What was spent of the caps that hold for the task; those that keep it waiting stand above, with what to do.
export function TaskCaps({ task }) {
  const isSaid = isParked(task) || WAITING.includes(task.state);
  const uses = (task.capState || []).filter((use) => !isSaid || !isCapReached(use));
  return html`<${CapBars} uses=${uses} testid="task-caps" />`;
}

function raisedFrom({ cap, limit, used }) {
  const doubled = Math.max(2 * limit, 1.25 * used);
  return IS_WHOLE.includes(cap) ? Math.ceil(doubled) : Math.ceil(doubled * 100) / 100;
}

// Writes the cap where it stands: at the task, its project or the platform. The platform lets its tasks go on then.
function raise(task, { scope, period, cap }, value) {
  const change = { [cap]: value };
  if (scope === "task") return api.patch(`/tasks/${task.id}`, { caps: change });
  if (scope === "project") return api.patch(`/projects/${task.projectId}`, { caps: { [period]: change } });
  return api.patch("/caps", { [period]: change });
}

function Raise({ task, use, isLast, reload }) {
  const [typed, setTyped] = useState(String(raisedFrom(use)));
  const [busy, run] = useAction();
  const role = RAISED_BY[use.scope];
  if (!hasRole(role)) {
    return html`<p>
      ${capOwnerText(use)}: ${usageText(use)}. ${whoRaises()[role]}
    </p>`;
  }
  const submit = (event) => {
    event.preventDefault();
    run(async () => {
      try {
        await raise(task, use, Number(typed));
        toastSuccess(t("The cap is raised."));
      } finally {
        await reload();
      }
    });
  };
  const id = `raise-${use.scope}-${use.period}-${use.cap}`;
  const value = Number(typed);
  return html`<form class="raise" onSubmit=${submit} data-testid="cap-raise">
    <label for=${id}>${capOwnerText(use)}: ${usageText(use)}. ${t("Raise it to")}</label>
    <span class="actions">
    <input
      id=${id}
      type="number"
      required
      min="0"
      step=${IS_WHOLE.includes(use.cap) ? "1" : "any"}
      value=${typed}
      data-testid="cap-raise-to"
      onInput=${(event) => setTyped(event.target.value)}
    />
    <button class="button primary" data-testid="cap-raise-submit" disabled=${busy || !(value > use.used)}>
      ${
        isLast
          ? t("Raise to {amount} and go on", { amount: amountText(use.cap, value) })
          : t("Raise to {amount}", { amount: amountText(use.cap, value) })
      }
    </button>
    </span>
  </form>`;
}
