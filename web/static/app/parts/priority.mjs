// A task's priority as three bars; read aloud as words.
import { html } from "../html.mjs";
import { say } from "../words.mjs";

export const Priority = ({ of }) =>
  html`<span class=${`priority ${of}`} title=${`${say(of)} priority`}>
    <i></i>
    <i></i>
    <i></i>
    <span class="sr">${say(of)} priority</span>
  </span>`;
