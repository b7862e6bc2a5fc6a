// What a person may do to a task, offered only where its state and the person's role allow it.
import { useState } from "preact/hooks";
import { Confirm, Dialog } from "../../components/dialogs.mjs";
import { html } from "../../components/html.mjs";
import { usePastedPictures } from "../../components/pasted-pictures.mjs";
import { DependsOn, useOtherTasks } from "../../forms/depends-on.mjs";
import { DriverFields } from "../../forms/driver-fields.mjs";
import { StepsExample } from "../../forms/example-steps.mjs";
import { FieldForm, SelectField, TextField } from "../../forms/fields.mjs";
import { fieldError, FormEnd, RestoredDraftNotice } from "../../forms/form.mjs";
import { hasLimits, LimitFields, limitsDraft, limitsOf } from "../../forms/run-limits.mjs";
import { useSharedForm } from "../../forms/shared-form.mjs";
import { capChanges, CapFields, capsDraft } from "../../forms/spending-caps.mjs";
import { api } from "../../server/api.mjs";
import { hasRole } from "../../server/session.mjs";
import { cancelSoon, willBeCancelled } from "../../state/delayed-cancel.mjs";
import { project } from "../../state/projects.mjs";
import { t } from "../../words/language.mjs";
import { CANCELLABLE_TASK_STATES, FINAL_TASK_STATES } from "../../words/states.mjs";
import { BY_URGENCY, idOf, labelOf, shortId, splitList } from "../../words/words.mjs";
import { TakeOver } from "../task-work/task-steering.mjs";

export function TaskActions({ task, reload, edit }) {
  const [cancelling, setCancelling] = useState(false);
  const waits = willBeCancelled(task);
  return html`<div class="actions task-actions">
    <${TakeOver} task=${task} reload=${reload} />
    ${
      !FINAL_TASK_STATES.includes(task.state) &&
      hasRole("member") &&
      html`<button type="button" class="button" data-testid="task-edit" onClick=${edit}>${t("Edit")}</button>`
    }
    ${
      CANCELLABLE_TASK_STATES.includes(task.state) &&
      hasRole("member") &&
      html`<button
        type="button"
        class="button ghost"
        aria-disabled=${waits}
        data-testid="task-cancel"
        onClick=${() => waits || setCancelling(true)}
      >
        ${waits ? t("Will be cancelled") : t("Cancel task")}
      </button>`
    }
    ${
      cancelling &&
      html`<${Confirm}
        title=${t("Cancel this task?")}
        verb=${t("Cancel task")}
        testid="task-cancel-confirm"
        act=${async () => cancelSoon([task], reload)}
        close=${() => setCancelling(false)}
      >
        ${t("Its agent stops and its preview goes.")}${" "}
        ${
          task.state === "approved" &&
          `${t("If a group holds it, it is taken out, and the rest is merged and tested again.")} `
        }
        ${t("The branch stays. A cancelled task can't be taken up again.")}
      <//>`
    }
  </div>`;
}

const draftOf = (task) => ({
  title: task.title,
  description: task.description || "",
  priority: task.priority,
  notes: task.notes || "",
  labels: (task.labels || []).join(", "),
  requiredCapabilities: (task.requiredCapabilities || []).join(", "),
  driver: task.driver || "",
  model: task.model || "",
  // As text, as drafts are compared by their values.
  dependsOn: (task.dependsOn || []).map(idOf).join(" "),
  ...limitsDraft("limits", task.limits),
  ...capsDraft("caps", task.caps),
});

const idsOf = (text) => text.split(" ").filter(Boolean);
const WISHES = ["driver", "model", "requiredCapabilities", "dependsOn"];
const WRITTEN = ["title", "description", "priority", "notes"];
const trimmed = ({ title, ...others }) => ({ ...others, title: title.trim() });

// Who does it, within which limits, and after which others: folded away, as few tasks name any of it.
function Wishes({ task, form }) {
  const chosen = idsOf(form.draft.dependsOn);
  const [isOpen, setOpen] = useState(WISHES.some((name) => form.draft[name]) || hasLimits(form.draft, "limits"));
  const stored = (task.dependsOn || []).map(idOf);
  const others = useOtherTasks({ projectId: task.projectId, chosen, asks: isOpen, except: task.id, stored });
  const titleOf = (id) => others.find((one) => one.id === id)?.title || shortId(id);
  return html`<details open=${isOpen} onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary>${t("More")}</summary>
    ${
      isOpen &&
      html`<${DriverFields} usual=${t("the project's")} />
        <${TextField}
          label=${t("Required capabilities")}
          name="requiredCapabilities"
          form=${form}
          placeholder="python, node"
          hint=${t("Only an agent that has all of them takes it.")}
        />
        <${LimitFields} usual=${project.value?.limits} />
        <small>${t("A run that is at work goes on as it began: these count from the next one on.")}</small>
        <${DependsOn}
          others=${others}
          chosen=${chosen}
          change=${(ids) => form.change("dependsOn", ids.join(" "))}
          error=${fieldError(form, "dependsOn", (theirs) => idsOf(theirs).map(titleOf).join(", "))}
        />`
    }
  </details>`;
}

export function EditTask({ task, reload, close }) {
  const pictures = usePastedPictures();
  const { form, fields, submit } = useSharedForm({
    now: task,
    draftOf,
    read: async () => (await api.get(`/tasks/${task.id}`)).task,
    keepAs: `edit-task.${task.id}`,
  });
  const cancel = () => {
    form.reset();
    close();
  };
  const send = async (draft, before) => {
    const fresh = trimmed(draft);
    const changed = Object.fromEntries(
      WRITTEN.filter((name) => fresh[name] !== before[name]).map((name) => [name, fresh[name]]),
    );
    // Compared as text, in which a label that has a comma can't be told from two.
    for (const name of ["labels", "requiredCapabilities"])
      if (draft[name] !== before[name]) changed[name] = splitList(draft[name]);
    for (const name of ["driver", "model"])
      if (draft[name].trim() !== before[name]) changed[name] = draft[name].trim() || null;
    if (draft.dependsOn !== before.dependsOn) changed.dependsOn = idsOf(draft.dependsOn);
    const limits = limitsOf(draft, "limits");
    if (JSON.stringify(limits) !== JSON.stringify(limitsOf(before, "limits"))) changed.limits = limits;
    const caps = capChanges(draft, "caps", before);
    if (caps) changed.caps = caps;
    if (Object.keys(changed).length) await api.patch(`/tasks/${task.id}`, changed);
    return draft;
  };
  const save = submit(send, async () => {
    await reload();
    close();
  });
  return html`<${Dialog} title=${t("Edit task")} close=${close} wide>
    <${FieldForm} of=${fields} onSubmit=${save}>
      <${RestoredDraftNotice} form=${form} />
      <${TextField} label=${t("Title")} name="title" required maxlength="200" />
      <${TextField}
        label=${t("Description")}
        name="description"
        rows="9"
        hint=${html`<${StepsExample} form=${fields} busy=${form.busy} />`}
        ...${pictures}
      />
      <${TextField} label=${t("Notes")} name="notes" rows="3" hint=${t("For the people who look after it.")} />
      <div class="pair">
        <${SelectField}
          label=${t("Priority")}
          name="priority"
          options=${BY_URGENCY.map((one) => [one, labelOf(one)])}
        />
        <${TextField} label=${t("Labels")} name="labels" />
      </div>
      ${
        task.caps &&
        html`<${CapFields}
          prefix="caps"
          legend=${t("Caps of this task")}
          hint=${t("Over all its runs. Empty: the project's.")}
          testid="task-cap"
        />`
      }
      <${Wishes} task=${task} form=${fields} />
      <${FormEnd} form=${form} cancel=${cancel}>${t("Save")}<//>
    <//>
  <//>`;
}
