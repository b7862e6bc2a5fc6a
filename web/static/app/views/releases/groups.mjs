// A project's task groups, and making one out of approved tasks.
import { useState } from "preact/hooks";
import { go, to } from "../../browser/routes.mjs";
import { Badge, Empty, Icon, Listing, LoadError, Loading, Page, Time } from "../../components/controls.mjs";
import { Dialog } from "../../components/dialogs.mjs";
import { html } from "../../components/html.mjs";
import { CheckField, Field, FieldForm, SelectField, TextField } from "../../forms/fields.mjs";
import { FormError, RestoredDraftNotice, useForm } from "../../forms/form.mjs";
import { api } from "../../server/api.mjs";
import { useLiveEvents, usePages, useRead } from "../../server/loading.mjs";
import { hasRole } from "../../server/session.mjs";
import { project } from "../../state/projects.mjs";
import { t, tn } from "../../words/language.mjs";
import { LIVE_GROUP_STATES } from "../../words/states.mjs";
import { labelOf, shortSha, shownState } from "../../words/words.mjs";

export const groupTitle = (group) => group.name || group.stagingBranch?.replace(/^release\//, "") || t("Group");

// What a group says of itself or of a task that stays in it takes nothing out.
export const isTakenOut = ({ kind, taskId }) => taskId !== null && kind !== "later_push";

const CHANGES = ["task-group:status_changed", "task-group:updated", "deploy:completed"];

export function Groups() {
  const { id: projectId } = project.value;
  const pages = usePages("/task-groups", "taskGroups", { projectId });
  const [making, setMaking] = useState(false);
  useLiveEvents(({ event }) => CHANGES.includes(event), pages.reload);
  const actions =
    hasRole("maintainer") &&
    html`<button type="button" class="button primary" data-testid="group-new" onClick=${() => setMaking(true)}>
      <${Icon} name="plus" />${t("New group")}
    </button>`;
  return html`<${Page}
    title=${t("Groups")}
    lead=${t("Approved tasks that are merged, tested and delivered together.")}
    actions=${actions}
  >
    <${Listing}
      pages=${pages}
      empty=${html`<${Empty} title=${t("No groups yet")}>
        ${t(
          "Once tasks are approved, put them into a group: the platform merges and tests them together, and " +
            "takes them to staging and to production.",
        )}
      <//>`}
    >
      <ul class="rows">
        ${pages.items?.map(
          (group) =>
            html`<li key=${group.id}>
              <a class="row" href=${to.group(projectId, group.id)} data-testid="group-row" data-group-id=${group.id}>
                <span class="row-main"><b>${groupTitle(group)}</b><code>${group.stagingBranch}</code></span>
                <${Badge} word=${group.status} shown=${shownState(group)} />
                ${
                  group.problems?.some(isTakenOut) &&
                  html`<span class="chip bad">
                    ${t("{count} taken out", { count: group.problems.filter(isTakenOut).length })}
                  </span>`
                }
                ${group.problems
                  ?.filter((one) => !isTakenOut(one))
                  .map(
                    (one) => html`<span key=${`${one.taskId}:${one.kind}`} class="chip">${labelOf(one.kind)}</span>`,
                  )}
                <span class="muted">${tn(group.taskIds.length, "{count} task", "{count} tasks")}</span>
                <code>${shortSha(group.headSha)}</code>
                <${Time} at=${group.createdAt} />
              </a>
            </li>`,
        )}
      </ul>
    <//>
    ${making && html`<${NewGroup} projectId=${projectId} close=${() => setMaking(false)} />`}
  <//>`;
}

export function NewGroup({ projectId, close }) {
  const pages = usePages("/tasks", "tasks", { projectId, state: "approved" });
  const groups = useRead("/task-groups", { projectId, limit: 200 });
  const held = new Set(
    groups.value?.taskGroups
      .filter(({ status }) => LIVE_GROUP_STATES.includes(status))
      .flatMap(({ taskIds }) => taskIds),
  );
  // Task id → what the person chose. To begin with, those are taken that no group holds.
  const [choices, setChoices] = useState({});
  const isChosen = ({ id }) => choices[id] ?? !held.has(id);
  const begun = { name: "", notes: "", targetBranch: "staging", acceptRolledBack: false };
  const form = useForm(begun, `new-group.${projectId}`);
  const cancel = () => {
    form.reset();
    close();
  };
  // Listed newest first; the order of the ids is the order of merging.
  const approved = [...(pages.items || [])].sort((a, b) => (a.id < b.id ? -1 : 1));
  const chosen = approved.filter(isChosen);
  const toggle = (task) => setChoices({ ...choices, [task.id]: !isChosen(task) });
  const create = form.submit(async ({ name, notes, targetBranch, acceptRolledBack }) => {
    const body = { projectId, taskIds: chosen.map(({ id }) => id), targetBranch };
    if (acceptRolledBack) body.acceptRolledBack = true;
    if (name.trim()) body.name = name.trim();
    if (notes.trim()) body.notes = notes.trim();
    const { taskGroup } = await api.post("/task-groups", body);
    go(to.group(projectId, taskGroup.id));
  });
  const unread = [pages, groups].find(({ error, value }) => error && !value);
  if (unread)
    return html`<${Dialog} title=${t("New group")} close=${close}>
      <${LoadError} error=${unread.error} again=${unread.reload} />
    <//>`;
  return html`<${Dialog} title=${t("New group")} close=${close} wide>
    <${FieldForm} of=${form} onSubmit=${create}>
      <${RestoredDraftNotice} form=${form} />
      <${Field}
        label=${t("Approved tasks")}
        hint=${t("Merged in this order, oldest first. One that is in another group is refused.")}
        control=${(id, said) =>
          html`<div class="choices" id=${id} ...${said} role="group" aria-label=${t("Approved tasks")}>
            ${
              !pages.items || !groups.value
                ? html`<${Loading} />`
                : approved.length
                  ? approved.map(
                      (task) =>
                        html`<label key=${task.id} class="check" data-testid="group-task" data-task-id=${task.id}>
                          <input type="checkbox" checked=${isChosen(task)} onChange=${() => toggle(task)} />
                          <span>${task.title}<small>${task.branchName}</small></span>
                        </label>`,
                    )
                  : html`<p class="muted">${t("No task is approved. Approve some on the board first.")}</p>`
            }
            ${
              pages.hasMore &&
              html`<button type="button" class="button more" onClick=${pages.more}>
                ${t("Load more")}
              </button>`
            }
          </div>`}
      />
      <div class="pair">
        <${TextField}
          label=${t("Name")}
          name="name"
          testid="group-name"
          placeholder=${t("Sprint 12")}
          hint=${t("Names the release branch.")}
        />
        <${SelectField}
          label=${t("Take it to")}
          name="targetBranch"
          testid="group-target"
          options=${[
            ["staging", t("Staging: I say when")],
            ["production", t("Production: to staging by itself")],
          ]}
          hint=${t("Production is always a person's call.")}
        />
      </div>
      <${TextField} label=${t("Notes")} name="notes" testid="group-notes" rows="3" />
      ${
        (form.fault?.field === "acceptRolledBack" || form.draft.acceptRolledBack) &&
        html`<${CheckField} label=${t("Deliver what was rolled back all the same")} name="acceptRolledBack" />`
      }
      <${FormError} form=${form} />
      <footer>
        <button type="button" class="button" onClick=${cancel}>${t("Cancel")}</button>
        <button
          class="button primary"
          data-testid="group-create"
          disabled=${form.busy || !groups.value || !chosen.length}
        >
          ${t("Create group of {count}", { count: chosen.length })}
        </button>
      </footer>
    <//>
  <//>`;
}
