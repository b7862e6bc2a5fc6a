// Pictures that are pasted or dropped into a text: they become files of its task, and the text refers to them by name.
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { toastError, toastWarning } from "../browser/toasts.mjs";
import { api } from "../server/api.mjs";
import { t } from "../words/language.mjs";
import { html } from "./html.mjs";

// SVG is left out: it may hold more than a picture.
export const PICTURE_TYPES = /^image\/(png|jpeg|gif|webp|avif)$/;
export const TaskContext = createContext(null);

// of: the task whose files the texts within refer to.
export const TaskFilesProvider = ({ of, children }) => html`<${TaskContext.Provider} value=${of}>${children}<//>`;

// How a text refers to a file by its name.
const pictureMarkdown = (name) => `![${name.replace(/[[\]]/g, "")}](<${name.replace(/[<>]/g, "")}>)`;

const picturesIn = (data) => [...(data?.files || [])].filter(({ type }) => PICTURE_TYPES.test(type));

// Cells of a spreadsheet, or a text with its formats, are copied along with a picture of them: the text is meant.
const isText = ({ types }) => ["text/plain", "text/html"].every((one) => types.includes(one));

// Puts text where the cursor is. The field tells its form by an input event, as if it were typed.
function insert(field, text) {
  field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
  field.dispatchEvent(new InputEvent("input", { bubbles: true }));
}

// For a TextField with rows: pictures that are pasted or dropped into it become files of the task, and the text refers
// to them. keep: takes a File and returns its name, where there is no task yet. {} where neither is there.
export function usePastedPictures(keep) {
  const task = useContext(TaskContext);
  const send =
    keep ||
    (task && (async (file) => (await api.upload(pathOfAll(task.id), file, { name: file.name })).attachment.name));
  if (!send) return {};
  const take = async (event, data) => {
    const files = picturesIn(data);
    if (!files.length && !(event.type === "drop" && data.files.length)) return;
    // The browser would open a file that nothing takes.
    event.preventDefault();
    if (!files.length)
      return void toastWarning(t("Only pictures go into a text. Add other files to the files of the task."));
    const field = event.currentTarget;
    field.setAttribute("aria-busy", "true");
    try {
      for (const file of files) insert(field, pictureMarkdown(await send(file)));
    } catch (error) {
      toastError(error);
    } finally {
      field.removeAttribute("aria-busy");
    }
  };
  return {
    onPaste: (event) => isText(event.clipboardData) || take(event, event.clipboardData),
    onDrop: (event) => take(event, event.dataTransfer),
    onDragOver: (event) => event.preventDefault(),
    placeholder: t("Pictures can be pasted or dropped here"),
  };
}

const pathOfAll = (taskId) => `/tasks/${taskId}/attachments`;
