// Writing a task. What only some tasks need is folded away.
import { api } from "../api.mjs";
import { html } from "../html.mjs";
import { Fault, Field, SelectField, TextField, useForm } from "../parts/controls.mjs";
import { Dialog } from "../parts/dialogs.mjs";
import { project } from "../projects.mjs";
import { to } from "../routes.mjs";
import { keepTask, tasks } from "../tasks.mjs";
import { told } from "../toasts.mjs";
import { BY_URGENCY, lines, say } from "../words.mjs";

const EMPTY = {
  title: "",
  description: "",
  priority: "medium",
  labels: "",
  requiredCapabilities: "",
  driver: "",
  dependsOn: [],
};

export function NewTask({ close }) {
  const form = useForm(EMPTY);
  const { id: projectId } = project.value;
  const create = form.submit(async (draft) => {
    const body = { projectId, title: draft.title.trim(), description: draft.description, priority: draft.priority };
    for (const name of ["labels", "requiredCapabilities"]) if (draft[name].trim()) body[name] = lines(draft[name]);
    if (draft.driver.trim()) body.driver = draft.driver.trim();
    if (draft.dependsOn.length) body.dependsOn = draft.dependsOn;
    const { task } = await api.post("/tasks", body);
    keepTask(task);
    told("Task created.", { href: to.task(projectId, task.id), text: "Open" });
    close();
  });
  const others = [...(tasks.value?.values() || [])].filter(({ state }) => state !== "cancelled");
  const toggle = (id, yes) =>
    form.change("dependsOn", yes ? [...form.draft.dependsOn, id] : form.draft.dependsOn.filter((one) => one !== id));
  return html`<${Dialog} title="New task" close=${close} wide>
    <form onSubmit=${create}>
      <${TextField}
        label="Title"
        name="title"
        form=${form}
        testid="task-title"
        required
        maxlength="200"
        placeholder="Add a password reset page"
      />
      <${TextField}
        label="Description"
        name="description"
        form=${form}
        testid="task-description"
        rows="8"
        placeholder=${"What should be different afterwards, and how would one see it?"}
        hint=${html`
          Markdown. The scripted driver follows a fenced block that begins with <code>${"```steps"}</code>; other
          drivers read the text.
        `}
      />
      <div class="pair">
        <${SelectField}
          label="Priority"
          name="priority"
          form=${form}
          testid="task-priority"
          options=${BY_URGENCY.map((one) => [one, say(one)])}
        />
        <${TextField}
          label="Labels"
          name="labels"
          form=${form}
          testid="task-labels"
          placeholder="ui, bug"
          hint="Separated by commas."
        />
      </div>
      <details>
        <summary>More</summary>
        <div class="pair">
          <${TextField}
            label="Required capabilities"
            name="requiredCapabilities"
            form=${form}
            placeholder="python, node"
            hint="Only an agent that has all of them takes it."
          />
          <${TextField} label="Driver" name="driver" form=${form} hint="Empty: the agent's own." />
        </div>
        ${
          others.length > 0 &&
          html`<${Field}
            label="Depends on"
            hint="It waits until these are approved."
            control=${(id) =>
              html`<div class="choices" id=${id} role="group" aria-label="Depends on">
                ${others.map(
                  (task) =>
                    html`<label key=${task.id} class="check">
                      <input
                        type="checkbox"
                        checked=${form.draft.dependsOn.includes(task.id)}
                        onChange=${(event) => toggle(task.id, event.target.checked)}
                      />
                      <span>${task.title}</span>
                    </label>`,
                )}
              </div>`}
          />`
        }
      </details>
      <${Fault} form=${form} />
      <footer>
        <button type="button" class="button" onClick=${close}>Cancel</button>
        <button class="button primary" data-testid="task-create" disabled=${form.busy}>Create task</button>
      </footer>
    </form>
  <//>`;
}
