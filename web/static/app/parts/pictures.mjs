// Pictures among a task's files: shown where a text refers to them by name, and sent by pasting or dropping them into
// a text. Their content is read with the caller's token.
import { createContext } from "preact";
import { useContext, useEffect, useRef, useState } from "preact/hooks";
import { api } from "../api.mjs";
import { html } from "../html.mjs";
import { t } from "../language.mjs";
import { failed } from "../toasts.mjs";

// SVG is left out: it may hold more than a picture.
const TYPES = /^image\/(png|jpeg|gif|webp|avif)$/;
const LARGEST_BYTES = 8 * 2 ** 20;

export const isPicture = ({ mediaType, sizeBytes }) => TYPES.test(mediaType) && sizeBytes <= LARGEST_BYTES;

const OfTask = createContext(null);

// of: the task whose files the texts within refer to.
export const Pictures = ({ of, children }) => html`<${OfTask.Provider} value=${of}>${children}<//>`;

const dataUrl = (blob) =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });

const read = new Map();

// The content of a task's file as a data: address, which the policy of the page lets in. Read once; null: it can't be.
function contentOf(path) {
  if (!read.has(path)) {
    const reading = api.blob(path).then(dataUrl);
    read.set(
      path,
      reading.catch(() => (read.delete(path), null)),
    );
  }
  return read.get(path);
}

const pathOf = (taskId, { id }) => `/tasks/${taskId}/attachments/${id}`;

export function Picture({ taskId, of }) {
  const [url, setUrl] = useState(null);
  const path = pathOf(taskId, of);
  useEffect(() => {
    let gone = false;
    contentOf(path).then((content) => !gone && setUrl(content));
    return () => {
      gone = true;
    };
  }, [path]);
  return url && html`<img class="preview" src=${url} alt=${of.name} loading="lazy" data-testid="attachment-picture" />`;
}

// A ref for an element whose pictures have a name in `title` and no address: they get the content of the task's file of
// that name. changed: what the element's content depends on.
export function usePictures(changed) {
  const task = useContext(OfTask);
  const box = useRef();
  const names = (task?.attachments || []).map(({ name }) => name).join("\n");
  useEffect(() => {
    for (const image of box.current?.querySelectorAll("img:not([src])") || []) {
      const file = (task?.attachments || []).find(({ name }) => name === image.title);
      if (file && isPicture(file)) contentOf(pathOf(task.id, file)).then((url) => url && (image.src = url));
    }
  }, [changed, task?.id, names]);
  return box;
}

// How a text refers to a file by its name.
export const reference = (name) => `![${name.replace(/[[\]]/g, "")}](<${name.replace(/[<>]/g, "")}>)`;

const picturesIn = (data) => [...(data?.files || [])].filter(({ type }) => TYPES.test(type));

// Puts text where the cursor is. The field tells its form by an input event, as if it were typed.
function insert(field, text) {
  field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
  field.dispatchEvent(new InputEvent("input", { bubbles: true }));
}

// For a TextField with rows: pictures that are pasted or dropped into it become files of the task, and the text refers
// to them. keep: takes a File and returns its name, where there is no task yet. {} where neither is there.
export function useTakePictures(keep) {
  const task = useContext(OfTask);
  const send =
    keep ||
    (task && (async (file) => (await api.upload(pathOfAll(task.id), file, { name: file.name })).attachment.name));
  if (!send) return {};
  const take = async (event, data) => {
    const files = picturesIn(data);
    if (!files.length) return;
    event.preventDefault();
    const field = event.currentTarget;
    field.setAttribute("aria-busy", "true");
    try {
      for (const file of files) insert(field, reference(await send(file)));
    } catch (error) {
      failed(error);
    } finally {
      field.removeAttribute("aria-busy");
    }
  };
  return {
    onPaste: (event) => take(event, event.clipboardData),
    onDrop: (event) => take(event, event.dataTransfer),
    onDragOver: (event) => event.preventDefault(),
    title: t("Paste or drop pictures here"),
  };
}

const pathOfAll = (taskId) => `/tasks/${taskId}/attachments`;
