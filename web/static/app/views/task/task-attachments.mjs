// The files of a task: its agent gets them as files. Pictures are shown; their content is read with the caller's token.
import { toastSuccess } from "../../browser/toasts.mjs";
import { Button } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { isPicture, Picture } from "../../components/shown-pictures.mjs";
import { ChooseFiles, fileSize, saveFile, uploadAttachments } from "../../forms/choose-files.mjs";
import { api } from "../../server/api.mjs";
import { useAction } from "../../server/loading.mjs";
import { hasRole } from "../../server/session.mjs";
import { actorName } from "../../state/actors.mjs";
import { t, tn } from "../../words/language.mjs";
import { FINAL_TASK_STATES } from "../../words/states.mjs";

const download = async (path, name) => saveFile(await api.blob(path), name);

export function Attachments({ task, reload }) {
  const [busy, run] = useAction();
  const { attachments } = task;
  const mayAdd = hasRole("member") && !FINAL_TASK_STATES.includes(task.state);
  if (!attachments || (!attachments.length && !mayAdd)) return null;
  const take = (files) =>
    run(async () => {
      try {
        await uploadAttachments(task.id, files);
        toastSuccess(tn(files.length, "File added.", "{count} files added."));
      } finally {
        await reload();
      }
    });
  const remove = (one) => async () => {
    await api.remove(`/tasks/${task.id}/attachments/${one.id}`);
    await reload();
  };
  return html`<section data-testid="task-attachments">
    <h2>${t("Files")}</h2>
    ${
      attachments.length > 0 &&
      html`<ul class="rows">
        ${attachments.map((one) => {
          const path = `/tasks/${task.id}/attachments/${one.id}`;
          return html`<li key=${one.id} class="row" data-testid="attachment">
            <span class="row-main">
              <b>${one.name}</b>
              <small>
                ${fileSize(one.sizeBytes)}${one.addedBy && `, ${t("by {name}", { name: actorName(one.addedBy) })}`}
              </small>
              ${isPicture(one) && html`<${Picture} taskId=${task.id} of=${one} />`}
            </span>
            <${Button} small testid="attachment-download" act=${() => download(path, one.name)}>${t("Download")}<//>
            ${
              mayAdd &&
              html`<${Button} small kind="ghost" testid="attachment-remove" act=${remove(one)}>${t("Remove")}<//>`
            }
          </li>`;
        })}
      </ul>`
    }
    ${
      mayAdd &&
      html`<${ChooseFiles} take=${take} disabled=${busy} testid="attachment-add">
        ${
          busy
            ? t("Adding…")
            : html`<b>${t("Add files")}</b> ${t("or drop them here: the agent gets them with its next run.")}`
        }
      <//>`
    }
  </section>`;
}
