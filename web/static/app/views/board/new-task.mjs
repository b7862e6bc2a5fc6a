// Writing a task. What only some tasks need is folded away.
import { useRef, useState } from "preact/hooks";
import { storedFiles, storeDraft, storeFiles } from "../../browser/drafts.mjs";
import { openNewTask } from "../../browser/keyboard.mjs";
import { to } from "../../browser/routes.mjs";
import { toastError, toastSuccess, toastUndoable } from "../../browser/toasts.mjs";
import { Dialog } from "../../components/dialogs.mjs";
import { html } from "../../components/html.mjs";
import { usePastedPictures } from "../../components/pasted-pictures.mjs";
import { ChooseFiles, fileSize, uploadAttachments } from "../../forms/choose-files.mjs";
import { DependsOn, isCancelled, useOtherTasks } from "../../forms/depends-on.mjs";
import { DriverFields, hasDrivers } from "../../forms/driver-fields.mjs";
import { StepsExample } from "../../forms/example-steps.mjs";
import { CheckField, FieldForm, SelectField, TextField } from "../../forms/fields.mjs";
import { fieldError, FormError, useForm } from "../../forms/form.mjs";
import { LimitFields, limitsDraft, limitsOf } from "../../forms/run-limits.mjs";
import { CapFields, capsDraft, capsOf } from "../../forms/spending-caps.mjs";
import { api } from "../../server/api.mjs";
import { storeTask } from "../../state/board-tasks.mjs";
import { project } from "../../state/projects.mjs";
import { t } from "../../words/language.mjs";
import { BY_URGENCY, labelOf, splitList } from "../../words/words.mjs";

const EMPTY = {
  title: "",
  description: "",
  priority: "medium",
  labels: "",
  requiredCapabilities: "",
  driver: "",
  model: "",
  dependsOn: [],
  mayChangeTestSetup: false,
  ...limitsDraft("limits"),
  ...capsDraft("caps"),
};

export function NewTask({ close }) {
  const { id: projectId } = project.value;
  const draftKey = `new-task.${projectId}`;
  const form = useForm(EMPTY, draftKey);
  const [files, showFiles] = useState(storedFiles(draftKey));
  const setFiles = (some) => {
    storeFiles(draftKey, some);
    showFiles(some);
  };
  const pictures = usePastedPictures(async (file) => {
    const others = storedFiles(draftKey);
    const named = renamed(file, others);
    setFiles([...others, named]);
    return named.name;
  });
  const written = files.length || JSON.stringify(form.draft) !== JSON.stringify(EMPTY);
  const leave = () => {
    if (written) toastSuccess(t("Kept as a draft: “New task” opens with it."));
    close();
  };
  const finish = () => {
    form.reset();
    setFiles([]);
    close();
  };
  const discard = () => {
    const { draft } = form;
    finish();
    if (!written) return;
    toastUndoable(t("The draft is discarded."), () => {
      storeDraft(draftKey, draft);
      storeFiles(draftKey, files);
      openNewTask(projectId);
    });
  };
  const create = form.submit(async (draft) => {
    const body = { projectId, title: draft.title.trim(), description: draft.description, priority: draft.priority };
    for (const name of ["labels", "requiredCapabilities"]) if (draft[name].trim()) body[name] = splitList(draft[name]);
    for (const name of ["driver", "model"]) if (draft[name].trim()) body[name] = draft[name].trim();
    const limits = limitsOf(draft, "limits");
    if (Object.keys(limits).length) body.limits = limits;
    const caps = capsOf(draft, "caps");
    if (Object.keys(caps).length) body.caps = caps;
    if (draft.dependsOn.length) body.dependsOn = draft.dependsOn;
    if (draft.mayChangeTestSetup) body.mayChangeTestSetup = true;
    // Its first agent gets the files that are there when it begins.
    if (files.length) body.awaitsFiles = true;
    const { task } = await api.post("/tasks", body);
    storeTask(task);
    const link = { href: to.task(projectId, task.id), text: t("Open") };
    toastSuccess(t("Task created."), link);
    finish();
    // The task is there by now: a file that is refused can be added to it later, and until then it says that it waits.
    if (files.length) await sendFiles(task.id, files).catch(toastError);
  });
  // While it is being sent nothing is changed: that would be lost with the dialog.
  const { busy } = form;
  const { dependsOn } = form.draft;
  const [asksMore, setAsksMore] = useState(dependsOn.length > 0);
  const others = useOtherTasks({ projectId, chosen: dependsOn, asks: asksMore });
  const open = useRef(false);
  open.current ||= others.some(isCancelled);
  return html`<${Dialog} title=${t("New task")} close=${leave} wide>
    <${FieldForm} of=${form} onSubmit=${create}>
      <${TextField}
        label=${t("Title")}
        name="title"
        testid="task-title"
        readonly=${busy}
        required
        maxlength="200"
        placeholder=${t("Add a password reset page")}
      />
      <${TextField}
        label=${t("Description")}
        name="description"
        testid="task-description"
        readonly=${busy}
        ...${busy ? {} : pictures}
        rows="8"
        placeholder=${t("What should be different afterwards, and how would one see it?")}
        hint=${html`<${StepsExample} form=${form} busy=${busy} />`}
      />
      <div class="pair">
        <${SelectField}
          label=${t("Priority")}
          name="priority"
          testid="task-priority"
          disabled=${busy}
          options=${BY_URGENCY.map((one) => [one, labelOf(one)])}
        />
        <${TextField}
          label=${t("Labels")}
          name="labels"
          testid="task-labels"
          readonly=${busy}
          placeholder="ui, bug"
          hint=${t("Separated by commas.")}
        />
      </div>
      ${hasDrivers() && html`<${Files} files=${files} setFiles=${setFiles} busy=${busy} />`}
      <details open=${open.current} onToggle=${(event) => event.currentTarget.open && setAsksMore(true)}>
        <summary>${t("More")}</summary>
        ${
          asksMore &&
          html`<fieldset class="bare" disabled=${busy}>
            <${DriverFields} usual=${t("the project's")} />
            <${TextField}
              label=${t("Required capabilities")}
              name="requiredCapabilities"
              placeholder="python, node"
              hint=${t("Only an agent that has all of them takes it.")}
            />
            <${CheckField}
              label=${t("May change how tests run")}
              hint=${t(
                "Its Makefile, runner options or test scripts count in its proof, instead of the default branch's.",
              )}
              name="mayChangeTestSetup"
            />
            <${LimitFields} usual=${project.value.limits} />
            ${
              project.value.caps &&
              html`<${CapFields}
                prefix="caps"
                legend=${t("Caps of this task")}
                hint=${t(
                  "Over all its runs. Once one is reached, the task is parked with its work kept. " +
                    "Empty: the project's.",
                )}
                testid="task-cap"
              />`
            }
            <${DependsOn}
              others=${others}
              chosen=${dependsOn}
              change=${(ids) => form.change("dependsOn", ids)}
              error=${fieldError(form, "dependsOn")}
            />
          </fieldset>`
        }
      </details>
      <${FormError} form=${form} />
      <footer>
        <button type="button" class="button" data-testid="task-discard" disabled=${busy} onClick=${discard}>
          ${written ? t("Discard") : t("Cancel")}
        </button>
        <button class="button primary" data-testid="task-create" disabled=${busy}>${t("Create task")}</button>
      </footer>
    <//>
  <//>`;
}

async function sendFiles(taskId, files) {
  await uploadAttachments(taskId, files);
  await api.post(`/tasks/${taskId}/resume`);
}

// What is pasted has the same name each time: another one of its name gets a number.
function renamed(file, others) {
  const [, stem, ending] = /^(.*?)(\.[^.]*)?$/s.exec(file.name);
  let name = file.name;
  for (let number = 2; others.some((one) => one.name === name); number += 1) name = `${stem}-${number}${ending || ""}`;
  return new File([file], name, { type: file.type });
}

// Files to send once the task is there; one with the name of another takes its place.
function Files({ files, setFiles, busy }) {
  const take = (more) => setFiles([...files.filter(({ name }) => !more.some((one) => one.name === name)), ...more]);
  return html`<div class="chosen-files">
    ${
      files.length > 0 &&
      html`<ul class="rows">
        ${files.map(
          (file) =>
            html`<li key=${file.name} class="row" data-testid="task-file">
              <span class="row-main"><b>${file.name}</b><small>${fileSize(file.size)}</small></span>
              <button
                type="button"
                class="button small ghost"
                disabled=${busy}
                onClick=${() => setFiles(files.filter((one) => one !== file))}
              >
                ${t("Remove")}
              </button>
            </li>`,
        )}
      </ul>`
    }
    <${ChooseFiles} take=${take} disabled=${busy} testid="task-files">
      <b>${t("Add files")}</b> ${t("or drop them here: the agent gets them with the task.")}
    <//>
  </div>`;
}
