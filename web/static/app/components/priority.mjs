// A task's priority as three bars; read aloud as words.
import { t } from "../words/language.mjs";
import { labelOf } from "../words/words.mjs";
import { html } from "./html.mjs";

export const Priority = ({ of }) =>
  html`<span class=${`priority ${of}`} title=${t("{priority} priority", { priority: labelOf(of) })}>
    <i></i>
    <i></i>
    <i></i>
    <span class="sr">${t("{priority} priority", { priority: labelOf(of) })}</span>
  </span>`;
