// A line for a terminal, ready to be copied.
import { canCopy, copyText } from "../clipboard.mjs";
import { html } from "../html.mjs";
import { t } from "../language.mjs";
import { Button } from "./controls.mjs";

export function CopyLine({ text, testid, said }) {
  return html`<p class="secret">
    <code data-testid=${testid}>${text}</code>
    ${canCopy && html`<${Button} small kind="ghost" act=${() => copyText(text, said)}>${t("Copy")}<//>`}
  </p>`;
}
