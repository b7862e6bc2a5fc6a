// The way to a preview. One of a restricted project lets in only a browser that comes by an address made for it.
import { toastError } from "../browser/toasts.mjs";
import { api } from "../server/api.mjs";
import { project } from "../state/projects.mjs";
import { webUrl } from "../words/words.mjs";
import { ExternalLink } from "./controls.mjs";
import { html } from "./html.mjs";

// Whether an address has another origin than the page. One of the page's own would have the page's session.
export const hasOtherOrigin = (href) => webUrl(href) !== null && new URL(href).origin !== location.origin;

export function PreviewLink({ deploymentId, href, children, testid }) {
  if (!hasOtherOrigin(href)) return html`<span data-testid=${testid}>${children}</span>`;
  if (!deploymentId || !project.value?.restricted)
    return html`<${ExternalLink} href=${href} testid=${testid}>${children}<//>`;
  const visit = async (event) => {
    event.preventDefault();
    // Opened before anything is waited for: a browser blocks windows that come later than the click.
    const tab = window.open("", "_blank");
    try {
      const { url } = await api.post(`/deployments/${deploymentId}/visit`);
      if (tab) tab.opener = null;
      (tab || window).location.replace(url);
    } catch (error) {
      tab?.close();
      toastError(error);
    }
  };
  return html`<${ExternalLink} href=${href} testid=${testid} onClick=${visit}>${children}<//>`;
}
