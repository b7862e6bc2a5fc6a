// What a person may do to a task, offered only where its state and the person's role allow it.
import { useState } from "preact/hooks";
import { api } from "../api.mjs";
import { html } from "../html.mjs";
import { t, tn } from "../language.mjs";
import { capChanges, CapFields, capsDraft } from "../parts/caps.mjs";
import { Button, Fault, SelectField, TextField, useForm } from "../parts/controls.mjs";
import { Confirm, Dialog } from "../parts/dialogs.mjs";
import { project } from "../projects.mjs";
import { may, user } from "../session.mjs";
import { CANCELLABLE_TASK_STATES, FINAL_TASK_STATES } from "../states.mjs";
import { told } from "../toasts.mjs";
import { BY_URGENCY, idOf, lines, say } from "../words.mjs";
import { TakeOver } from "./task-steering.mjs";

const TAKEN_OUT_OF_GROUP = "If a group holds it, it is taken out, and the rest is merged and tested again. ";

export function TaskActions({ task, reload, review, edit }) {
  const [cancelling, setCancelling] = useState(false);
  // A 409 says that the state is another one by now, so the task is read again whatever the answer is.
  const act = (verb, body) => async () => {
    try {
      await api.post(`/tasks/${task.id}/${verb}`, body);
    } finally {
      await reload();
    }
  };
  const testable = task.state === "ready_to_test" && may("maintainer");
  const own = project.value?.separateApprover && [user.value.id, user.value.username].includes(idOf(task.createdBy));
  return html`<div class="actions task-actions">
    ${
      testable &&
      html`
        <${Button}
          kind="primary"
          testid="task-approve"
          act=${act("approve", { commitSha: task.headSha })}
          disabled=${own}
          title=${
            own
              ? "This project wants the approval of a person who neither wrote the task nor pushed to its branch"
              : undefined
          }
        >
          Approve
        <//>
        <button
          type="button"
          class="button"
          data-testid="task-reject"
          aria-expanded=${review.rejecting}
          onClick=${() => review.setRejecting(!review.rejecting)}
        >
          Reject${review.review.count.value ? ` (${review.review.count.value})` : ""}…
        </button>
      `
    }
    ${
      task.state === "failed" &&
      may("member") &&
      html`<${Button} kind="primary" act=${act("retry")} testid="task-retry">Try again<//>`
    }
    <${TakeOver} task=${task} reload=${reload} />
    ${
      !FINAL_TASK_STATES.includes(task.state) &&
      may("member") &&
      html`<button type="button" class="button" data-testid="task-edit" onClick=${edit}>Edit</button>`
    }
    ${
      CANCELLABLE_TASK_STATES.includes(task.state) &&
      may("member") &&
      html`<button type="button" class="button ghost" data-testid="task-cancel" onClick=${() => setCancelling(true)}>
        Cancel task
      </button>`
    }
    ${
      cancelling &&
      html`<${Confirm}
        title="Cancel this task?"
        verb="Cancel task"
        testid="task-cancel-confirm"
        act=${act("cancel")}
        close=${() => setCancelling(false)}
      >
        Its agent stops and its preview goes.${" "}
        ${task.state === "approved" && TAKEN_OUT_OF_GROUP}
        The branch stays. A cancelled task can't be taken up again.
      <//>`
    }
  </div>`;
}

export function Rejection({ task, review, reload }) {
  const form = useForm({ reason: "" }, `rejection.${task.id}`);
  const { review: written } = review;
  const count = written.count.value;
  const submit = form.submit(async ({ reason }) => {
    await written.submit("reject", reason.trim());
    review.setRejecting(false);
    told("Sent back to the agent.");
    await reload();
  });
  return html`<form class="callout bad" onSubmit=${submit}>
    <${TextField}
      label="Why is it not good yet?"
      name="reason"
      form=${form}
      rows="3"
      testid="reject-reason"
      required
      hint="The agent goes on from here on the same branch, with this and the comments on lines below."
    />
    <${Fault} form=${form} />
    <footer>
      <button type="button" class="button" onClick=${() => review.setRejecting(false)}>Not now</button>
      <button class="button danger" data-testid="reject-submit" disabled=${form.busy}>
        ${count ? tn(count, "Send back with {count} comment", "Send back with {count} comments") : t("Send back")}
      </button>
    </footer>
  </form>`;
}

export function EditTask({ task, reload, close }) {
  const form = useForm({
    title: task.title,
    description: task.description || "",
    priority: task.priority,
    notes: task.notes || "",
    labels: (task.labels || []).join(", "),
    ...capsDraft("caps", task.caps),
  });
  const save = form.submit(async (draft) => {
    const { title, description, priority, notes } = draft;
    const fresh = { title: title.trim(), description, priority, notes, labels: lines(draft.labels) };
    const before = {
      title: task.title,
      description: task.description || "",
      priority: task.priority,
      notes: task.notes || "",
      labels: task.labels || [],
    };
    const changed = Object.fromEntries(
      Object.entries(fresh).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name])),
    );
    const caps = capChanges(draft, "caps", capsDraft("caps", task.caps));
    if (caps) changed.caps = caps;
    if (Object.keys(changed).length) await api.patch(`/tasks/${task.id}`, changed);
    await reload();
    close();
  });
  return html`<${Dialog} title="Edit task" close=${close} wide>
    <form onSubmit=${save}>
      <${TextField} label="Title" name="title" form=${form} required maxlength="200" />
      <${TextField} label="Description" name="description" form=${form} rows="9" hint="Markdown." />
      <${TextField} label="Notes" name="notes" form=${form} rows="3" hint="For the people who look after it." />
      <div class="pair">
        <${SelectField}
          label="Priority"
          name="priority"
          form=${form}
          options=${BY_URGENCY.map((one) => [one, say(one)])}
        />
        <${TextField} label="Labels" name="labels" form=${form} />
      </div>
      ${
        task.caps &&
        html`<${CapFields}
          form=${form}
          prefix="caps"
          legend="Caps of this task"
          hint="Over all its runs. Empty: the project's."
          testid="task-cap"
        />`
      }
      <${Fault} form=${form} />
      <footer>
        <button type="button" class="button" onClick=${close}>Cancel</button>
        <button class="button primary" disabled=${form.busy}>Save</button>
      </footer>
    </form>
  <//>`;
}
