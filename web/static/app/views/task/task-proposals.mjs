// Follow-up tasks that an agent proposes. A person accepts one, which creates it, or dismisses it.
import { useEffect } from "preact/hooks";
import { to } from "../../browser/routes.mjs";
import { toastSuccess } from "../../browser/toasts.mjs";
import { Badge, Button, LoadError } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { Markdown } from "../../components/markdown.mjs";
import { api } from "../../server/api.mjs";
import { useRead } from "../../server/loading.mjs";
import { hasRole } from "../../server/session.mjs";
import { t } from "../../words/language.mjs";

const OPEN = "proposed";

export function Proposals({ task, reload }) {
  // The task counts those that wait for a decision; the others are shown, too.
  const known = task.proposals !== undefined;
  const { value, error, reload: again } = useRead(known ? `/tasks/${task.id}/proposals` : null);
  useEffect(() => {
    again();
  }, [task.proposals, task.updatedAt]);
  if (error && !value) return html`<${LoadError} error=${error} again=${again} />`;
  const proposals = value?.proposals || [];
  if (!proposals.length) return null;
  const decide = (one, verb) => async () => {
    try {
      const reply = await api.post(`/tasks/${task.id}/proposals/${one.id}/${verb}`);
      const id = reply?.proposal?.createdTaskId;
      if (verb === "accept")
        toastSuccess(t("Task created."), id ? { href: to.task(task.projectId, id), text: t("Open") } : undefined);
    } finally {
      await Promise.all([again(), reload()]);
    }
  };
  return html`<section data-testid="task-proposals">
    <h2>${t("Proposed by the agent")}</h2>
    <ul class="rows">
      ${proposals.map(
        (one) =>
          html`<li key=${one.id} class="row" data-testid="proposal" data-state=${one.state}>
            <div class="row-main">
              <b>${one.title}</b>
              ${one.description && html`<${Markdown} text=${one.description} />`}
            </div>
            ${
              one.state !== OPEN
                ? html`
                  <${Badge} word=${one.state} />
                  ${
                    one.createdTaskId &&
                    html`<a href=${to.task(task.projectId, one.createdTaskId)}>${t("Open task")}</a>`
                  }
                `
                : hasRole("member") &&
                  html`
                    <${Button} small testid="proposal-accept" act=${decide(one, "accept")}>${t("Accept")}<//>
                    <${Button} small kind="ghost" testid="proposal-dismiss" act=${decide(one, "dismiss")}>
                      ${t("Dismiss")}
                    <//>
                  `
            }
          </li>`,
      )}
    </ul>
  </section>`;
}
