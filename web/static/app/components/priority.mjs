// A task's priority as three bars; read aloud as words.
import { t } from "../words/language.mjs";
import { say } from "../words/words.mjs";
import { html } from "./html.mjs";

export const Priority = ({ of }) =>
  html`<span class=${`priority ${of}`} title=${t("{priority} priority", { priority: say(of) })}>
    <i></i>
    <i></i>
    <i></i>
    <span class="sr">${t("{priority} priority", { priority: say(of) })}</span>
  </span>`;
