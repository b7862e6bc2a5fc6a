// What can be done with several tasks at once. Each is an act of its own: what is refused stays selected.
import { useEffect, useState } from "preact/hooks";
import { useKeyDown } from "../../browser/keyboard.mjs";
import { go, to } from "../../browser/routes.mjs";
import { toastSuccess, toastUndoable, toastWarning } from "../../browser/toasts.mjs";
import { Button } from "../../components/controls.mjs";
import { Confirm } from "../../components/dialogs.mjs";
import { html } from "../../components/html.mjs";
import { api } from "../../server/api.mjs";
import { hasRole, signedIn } from "../../server/session.mjs";
import { storeTask, tasks } from "../../state/board-tasks.mjs";
import { cancelSoon, willBeCancelled } from "../../state/delayed-cancel.mjs";
import { project } from "../../state/projects.mjs";
import { mark, t, tn } from "../../words/language.mjs";
import { CANCELLABLE_TASK_STATES, FINAL_TASK_STATES } from "../../words/states.mjs";
import { BY_URGENCY, labelOf } from "../../words/words.mjs";
import { clearSelection, selectedTasks } from "./selected-tasks.mjs";

const DONE = {
  approved: [mark("{count} task approved."), mark("{count} tasks approved.")],
  changed: [mark("{count} task changed."), mark("{count} tasks changed.")],
};

// Does `act` with each task, one after the other; done: what was done, for a person.
// undo: what takes back what was done to a task, given as it was before; null if nothing does.
async function withEach(some, done, act, undo = null) {
  const refused = [];
  const acted = [];
  const left = new Set(selectedTasks.value);
  for (const task of some) {
    try {
      const { task: fresh } = await act(task);
      storeTask(fresh);
      acted.push(task);
      left.delete(task.id);
    } catch (error) {
      // The session has ended: who signs in next may be somebody else.
      if (!signedIn.value) return;
      refused.push(`“${task.title}”: ${error.message}`);
    }
  }
  selectedTasks.value = refused.length ? left : new Set();
  const text = tn(acted.length, ...DONE[done]);
  const takeBack = async () => {
    for (const task of acted) storeTask((await undo(task)).task);
  };
  if (acted.length && undo) toastUndoable(text, takeBack);
  else if (acted.length) toastSuccess(text);
  if (refused.length) toastWarning(refused.join(" "));
}

export function SelectionBar() {
  const [cancelling, setCancelling] = useState(false);
  const [label, setLabel] = useState("");
  const chosen = [...selectedTasks.value].map((id) => tasks.value?.get(id)).filter(Boolean);
  const among = (...states) => chosen.filter(({ state }) => states.includes(state));
  useKeyDown((event) => event.key === "Escape" && !event.target.closest("dialog,.panel") && clearSelection());
  useEffect(() => clearSelection, []);
  // Who may only read by now has nothing to select for.
  const isMember = hasRole("member");
  useEffect(() => void (isMember || clearSelection()), [isMember]);
  if (!chosen.length || !isMember) return null;
  const ready = among("ready_to_test");
  const approved = among("approved");
  const [waiting, cancellable] = [true, false].map((waits) =>
    among(...CANCELLABLE_TASK_STATES).filter((task) => willBeCancelled(task) === waits),
  );
  const open = chosen.filter(({ state }) => !FINAL_TASK_STATES.includes(state));
  const approve = () =>
    withEach(ready, "approved", ({ id, headSha }) => api.post(`/tasks/${id}/approve`, { commitSha: headSha }));
  const cancel = async () => {
    cancelSoon(cancellable);
    clearSelection();
  };
  const group = async () => {
    const taskIds = approved.map(({ id }) => id).sort();
    const { taskGroup } = await api.post("/task-groups", { projectId: project.value.id, taskIds });
    clearSelection();
    go(to.group(project.value.id, taskGroup.id));
  };
  // undone: the value without this change, of the task as it is now and as it was before.
  const change = (name, valueOf, undone) =>
    withEach(
      open,
      "changed",
      (task) => api.patch(`/tasks/${task.id}`, { [name]: valueOf(task) }),
      async (before) => {
        // Others may have changed it meanwhile.
        const { task: now } = await api.get(`/tasks/${before.id}`);
        return api.patch(`/tasks/${before.id}`, { [name]: undone(now, before) });
      },
    );
  const setPriority = (priority) =>
    change(
      "priority",
      () => priority,
      (now, before) => (now.priority === priority ? before : now).priority,
    );
  const addLabel = (event) => {
    event.preventDefault();
    const fresh = label.trim();
    if (!fresh) return;
    setLabel("");
    const without = ({ labels }) => (labels || []).filter((one) => one !== fresh);
    change(
      "labels",
      (task) => [...without(task), fresh],
      (now, before) => (before.labels?.includes(fresh) ? now.labels : without(now)),
    );
  };
  return html`<div class="selection" role="group" aria-label=${t("Selected tasks")} data-testid="selection">
    <b aria-live="polite">${t("{count} selected", { count: chosen.length })}</b>
    ${
      hasRole("maintainer") &&
      html`
        <${Button} kind="primary" disabled=${!ready.length} act=${approve} testid="selection-approve">
          ${t("Approve")} ${ready.length || ""}
        <//>
        <${Button} disabled=${!approved.length} act=${group} testid="selection-group">
          ${t("Group {count}", { count: approved.length || "" })}
        <//>
      `
    }
    <select
      aria-label=${t("Priority")}
      value=""
      disabled=${!open.length}
      data-testid="selection-priority"
      onChange=${(event) => setPriority(event.target.value)}
    >
      <option value="">${t("Priority…")}</option>
      ${BY_URGENCY.map((one) => html`<option key=${one} value=${one}>${labelOf(one)}</option>`)}
    </select>
    <form onSubmit=${addLabel}>
      <input
        aria-label=${t("Add a label")}
        placeholder=${t("Add a label")}
        maxlength="50"
        value=${label}
        disabled=${!open.length}
        data-testid="selection-label"
        onInput=${(event) => setLabel(event.target.value)}
      />
    </form>
    <button
      type="button"
      class="button"
      disabled=${!cancellable.length}
      data-testid="selection-cancel"
      onClick=${() => setCancelling(true)}
    >
      ${
        waiting.length && !cancellable.length
          ? t("Will be cancelled")
          : t("Cancel {count}…", { count: cancellable.length || "" })
      }
    </button>
    <button type="button" class="button ghost" data-testid="selection-clear" onClick=${clearSelection}>
      ${t("Clear")}
    </button>
    ${
      cancelling &&
      html`<${Confirm}
        title=${tn(cancellable.length, "Cancel {count} task?", "Cancel {count} tasks?")}
        verb=${tn(cancellable.length, "Cancel {count} task", "Cancel {count} tasks")}
        testid="selection-cancel-confirm"
        act=${cancel}
        close=${() => setCancelling(false)}
      >
        ${t(
          "Agents stop, previews go, and groups that hold one of them are built again without " +
            "it. The branches stay. A cancelled task can't be taken up again.",
        )}
      <//>`
    }
  </div>`;
}
