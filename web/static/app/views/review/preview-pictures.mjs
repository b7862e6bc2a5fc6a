// What the platform's browser saw of a task's preview, beside what people use without the change.
import { useState } from "preact/hooks";
import { Time } from "../../components/controls.mjs";
import { Dialog } from "../../components/dialogs.mjs";
import { html } from "../../components/html.mjs";
import { usePictureContent } from "../../components/shown-pictures.mjs";
import { t } from "../../words/language.mjs";
import { serverText } from "../../words/server-texts.mjs";
import { shortSha } from "../../words/words.mjs";

const titles = () => ({ before: t("Before"), after: t("After") });

const described = ({ kind, picturedSha }) =>
  kind === "after"
    ? t("The preview of {commit}, as a browser saw it", { commit: shortSha(picturedSha) })
    : t("What runs without the change, {commit}, as a browser saw it", { commit: shortSha(picturedSha) });

function Shot({ taskId, of }) {
  const url = usePictureContent(`/tasks/${taskId}/pictures/${of.id}`);
  return url && html`<img src=${url} width=${of.width} height=${of.height} alt=${described(of)} />`;
}

function Sight({ taskId, of }) {
  const [isLarge, setLarge] = useState(false);
  const title = titles()[of.kind];
  return html`<figure data-testid=${`picture-${of.kind}`}>
    <figcaption>
      <b>${title}</b> <code>${shortSha(of.picturedSha)}</code> <${Time} at=${of.takenAt} />
    </figcaption>
    ${
      of.problem
        ? html`<p class="muted">${t("No picture: {why}", { why: serverText(of.problem) })}</p>`
        : html`<button type="button" class="sight" title=${t("Show it large")} onClick=${() => setLarge(true)}>
          <${Shot} taskId=${taskId} of=${of} />
        </button>`
    }
    ${
      isLarge &&
      html`<${Dialog} title=${title} close=${() => setLarge(false)} wide>
        <div class="sight-large"><${Shot} taskId=${taskId} of=${of} /></div>
      <//>`
    }
  </figure>`;
}

export function PreviewPictures({ task }) {
  const pictures = task.pictures || [];
  if (!pictures.length) return null;
  return html`<section class="sights" data-testid="task-pictures">
    <h2>${t("Preview as pictured")}</h2>
    <div>${pictures.map((one) => html`<${Sight} key=${one.id} taskId=${task.id} of=${one} />`)}</div>
  </section>`;
}
