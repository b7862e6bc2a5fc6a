// A line for a terminal, ready to be copied.
import { html } from "../html.mjs";
import { t } from "../language.mjs";
import { told } from "../toasts.mjs";
import { Button } from "./controls.mjs";

export function CopyLine({ text, testid, said }) {
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    told(said || t("Copied."));
  };
  return html`<p class="secret">
    <code data-testid=${testid}>${text}</code>
    ${navigator.clipboard && html`<${Button} small kind="ghost" act=${copy}>${t("Copy")}<//>`}
  </p>`;
}
