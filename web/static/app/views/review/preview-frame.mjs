// A preview within the page. It runs code that nobody reviewed: on an origin of its own, and its frame is a sandbox.
import { useState } from "preact/hooks";
import { Button } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { hasOtherOrigin } from "../../components/preview-link.mjs";
import { api } from "../../server/api.mjs";
import { project } from "../../state/projects.mjs";
import { t } from "../../words/language.mjs";

// allow-same-origin leaves the preview the origin that it has, which is never the page's (`hasOtherOrigin`): its own
// cookies and storage work. Without allow-top-navigation and allow-popups it stays within its frame.
const SANDBOX = "allow-scripts allow-forms allow-same-origin";

const canFrame = (href) =>
  hasOtherOrigin(href) && !(location.protocol === "https:" && new URL(href).protocol === "http:");

export function PreviewFrame({ deploymentId, href }) {
  const [shown, setShown] = useState(null);
  if (!deploymentId || !canFrame(href)) return null;
  const open = async () => {
    // One of a restricted project lets in only a browser that comes by an address made for it.
    const url = project.value?.restricted ? (await api.post(`/deployments/${deploymentId}/visit`)).url : href;
    if (!canFrame(url)) throw new Error(t("This preview can't be shown here; open it in a tab of its own."));
    setShown((before) => ({ url, times: (before?.times || 0) + 1 }));
  };
  if (!shown) return html`<${Button} small act=${open} testid="preview-show">${t("Show here")}<//>`;
  return html`
    <${Button} small act=${open} testid="preview-reload">${t("Reload")}<//>
    <${Button} small kind="ghost" act=${() => setShown(null)} testid="preview-hide">${t("Hide")}<//>
    <iframe
      key=${shown.times}
      class="preview-frame"
      title=${t("Preview of this task")}
      sandbox=${SANDBOX}
      allow=""
      referrerpolicy="no-referrer"
      src=${shown.url}
      data-testid="preview-frame"
    ></iframe>
  `;
}
