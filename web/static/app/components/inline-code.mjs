// A sentence of the platform's, in which commands and names stand between backticks.
import { html } from "./html.mjs";

const CODE = /(?<!`)`([^`\n]+)`(?!`)/;

// The text as what is to be drawn: in parts, with what stands between backticks as code.
export const withInlineCode = (text) =>
  String(text ?? "")
    .split(CODE)
    .map((part, at) => (at % 2 ? html`<code>${part}</code>` : part));
