// Saving a file, sending files to a task, and choosing files by a button, by dropping or by pasting.
import { useState } from "preact/hooks";
import { classNames } from "../components/controls.mjs";
import { html } from "../components/html.mjs";
import { api } from "../server/api.mjs";
import { t } from "../words/language.mjs";
import { oneDecimal } from "../words/numbers.mjs";

export function fileSize(bytes) {
  if (!Number.isFinite(bytes)) return "";
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 2 ** 20 ? `${oneDecimal(bytes / 1024)} KiB` : `${oneDecimal(bytes / 2 ** 20)} MiB`;
}

// Gives the content to the browser to save under this name.
export function saveFile(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

// Sends the files one after the other. Throws at the first that is refused; its message names the file.
export async function uploadAttachments(taskId, files) {
  for (const file of files) {
    try {
      await api.upload(`/tasks/${taskId}/attachments`, file, { name: file.name });
    } catch (error) {
      error.message = `${file.name}: ${error.message}`;
      throw error;
    }
  }
}

// take: called with an array of File. It may return a promise.
export function ChooseFiles({ take, testid, disabled, children }) {
  const [over, setOver] = useState(false);
  const given = (list) => list?.length && take([...list]);
  return html`<label
    class=${classNames("drop", over && "over")}
    onDragOver=${(event) => {
      event.preventDefault();
      setOver(true);
    }}
    onDragLeave=${() => setOver(false)}
    onDrop=${(event) => {
      event.preventDefault();
      setOver(false);
      if (!disabled) given(event.dataTransfer.files);
    }}
    onPaste=${(event) => !disabled && given(event.clipboardData.files)}
  >
    <input
      type="file"
      multiple
      class="sr"
      data-testid=${testid}
      disabled=${disabled}
      onChange=${(event) => {
        given(event.target.files);
        event.target.value = "";
      }}
    />
    <span>${children || html`<b>${t("Choose files")}</b> ${t("or drop them here")}`}</span>
  </label>`;
}
