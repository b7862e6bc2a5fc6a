// A line for a terminal, ready to be copied.
import { canCopy, copyText } from "../../browser/clipboard.mjs";
import { Button } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { t } from "../../words/language.mjs";

export function CopyLine({ text, testid, said }) {
  return html`<p class="secret">
    <code data-testid=${testid}>${text}</code>
    ${canCopy && html`<${Button} small kind="ghost" act=${() => copyText(text, said)}>${t("Copy")}<//>`}
  </p>`;
}
