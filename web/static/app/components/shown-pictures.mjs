// Pictures among a task's files, shown: by themselves, and where a text refers to them by name. Their content is read
// with the caller's token.
import { useEffect, useState } from "preact/hooks";
import { api, retryLater } from "../server/api.mjs";
import { onSignedOut } from "../server/session.mjs";
import { html } from "./html.mjs";
import { PICTURE_TYPES } from "./pasted-pictures.mjs";

const LARGEST_BYTES = 8 * 2 ** 20;

export const isPicture = ({ mediaType, sizeBytes }) => PICTURE_TYPES.test(mediaType) && sizeBytes <= LARGEST_BYTES;

const dataUrl = (blob) =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });

const MOST_KEPT = 40;
const read = new Map();
onSignedOut(() => read.clear());

// The content of a task's file as a data: address, which the policy of the page lets in. The newest are kept.
function contentOf(path) {
  if (!read.has(path)) {
    const reading = api.blob(path).then(dataUrl);
    read.set(path, reading);
    reading.catch(() => read.delete(path));
    if (read.size > MOST_KEPT) read.delete(read.keys().next().value);
  }
  return read.get(path);
}

// Calls `show` with the content of what lies at this path. It is read again where that may help, while isWanted().
function whenRead(path, show, isWanted) {
  contentOf(path).then(
    (url) => isWanted() && show(url),
    (error) => retryLater(error, () => isWanted() && whenRead(path, show, isWanted)),
  );
}

const pathOf = (taskId, { id }) => `/tasks/${taskId}/attachments/${id}`;

// The content of what lies at this path, once it is read; null until then.
export function usePictureContent(path) {
  const [url, setUrl] = useState(null);
  useEffect(() => {
    let gone = false;
    whenRead(path, setUrl, () => !gone);
    return () => {
      gone = true;
    };
  }, [path]);
  return url;
}

export function Picture({ taskId, of }) {
  const url = usePictureContent(pathOf(taskId, of));
  return url && html`<img class="preview" src=${url} alt=${of.name} loading="lazy" data-testid="attachment-picture" />`;
}

// Gives images, which have a name in `title` and no address, the content of the task's file of that name.
export function showPictures(images, task) {
  for (const image of images) {
    const file = task.attachments?.find(({ name }) => name === image.title);
    if (!file || !isPicture(file)) continue;
    whenRead(
      pathOf(task.id, file),
      (url) => (image.src = url),
      () => image.isConnected,
    );
  }
}
