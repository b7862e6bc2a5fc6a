// Writing several tasks at once: a title on each line.
import { useEffect, useState } from "preact/hooks";
import { toastSuccess } from "../../browser/toasts.mjs";
import { Loading } from "../../components/controls.mjs";
import { Dialog } from "../../components/dialogs.mjs";
import { html } from "../../components/html.mjs";
import { FieldForm, SelectField, TextField } from "../../forms/fields.mjs";
import { FormError, useForm } from "../../forms/form.mjs";
import { api } from "../../server/api.mjs";
import { storeTask } from "../../state/board-tasks.mjs";
import { project } from "../../state/projects.mjs";
import { t, tn } from "../../words/language.mjs";
import { BY_URGENCY, labelOf, splitList } from "../../words/words.mjs";

const EMPTY = { titles: "", priority: "medium", labels: "" };

const titlesOf = (text) =>
  text
    .split("\n")
    .map((line) => line.replace(/^\s*[-*]\s+/, "").trim())
    .filter(Boolean);

// Project id → a promise that is resolved once its titles are sent, or one of them failed.
const sendings = new Map();

// Closing the dialog does not stop what is being sent: the draft can be written again only after that, with the titles
// that are left.
export function SeveralNewTasks({ close }) {
  const { id: projectId } = project.value;
  const [sending, setSending] = useState(() => sendings.get(projectId));
  useEffect(() => void sending?.then(() => setSending(null)), [sending]);
  return sending
    ? html`<${Dialog} title=${t("New tasks")} close=${close} wide><${Loading} /><//>`
    : html`<${Form} projectId=${projectId} close=${close} />`;
}

function Form({ projectId, close }) {
  const form = useForm(EMPTY, `new-tasks.${projectId}`);
  const titles = titlesOf(form.draft.titles);
  const send = form.submit(async ({ priority, labels }) => {
    for (const [at, title] of titles.entries()) {
      const { task } = await api.post("/tasks", { projectId, title, priority, labels: splitList(labels) });
      storeTask(task);
      // What is there by now is not made again, whatever becomes of the others or of the page.
      form.change("titles", titles.slice(at + 1).join("\n"));
    }
    toastSuccess(tn(titles.length, "{count} task created.", "{count} tasks created."));
    form.reset();
    close();
  });
  const create = (event) => {
    if (sendings.has(projectId)) return event.preventDefault();
    sendings.set(
      projectId,
      send(event).finally(() => sendings.delete(projectId)),
    );
  };
  return html`<${Dialog} title=${t("New tasks")} close=${close} wide>
    <${FieldForm} of=${form} onSubmit=${create}>
      <${TextField}
        label=${t("One task on each line")}
        name="titles"
        testid="tasks-titles"
        readonly=${form.busy}
        rows="8"
        required
        placeholder=${t("Add a password reset page\nSay hello in Spanish")}
      />
      <div class="pair">
        <${SelectField}
          label=${t("Priority of all")}
          name="priority"
          disabled=${form.busy}
          options=${BY_URGENCY.map((one) => [one, labelOf(one)])}
        />
        <${TextField}
          label=${t("Labels of all")}
          name="labels"
          testid="tasks-labels"
          readonly=${form.busy}
          placeholder="ui, bug"
          hint=${t("Separated by commas.")}
        />
      </div>
      <${FormError} form=${form} />
      <footer>
        <button type="button" class="button" onClick=${close}>${t("Close")}</button>
        <button class="button primary" data-testid="tasks-create" disabled=${form.busy || !titles.length}>
          ${titles.length > 1 ? t("Create {count} tasks", { count: titles.length }) : t("Create task")}
        </button>
      </footer>
    <//>
  <//>`;
}
