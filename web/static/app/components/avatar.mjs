// A person or a program by the initials of its name, in a colour that the name always has.
import { actorName, isAgent } from "../state/actors.mjs";
import { Icon } from "./controls.mjs";
import { html } from "./html.mjs";

const COLOURS = 6;

// "Ada Lovelace", "ada.lovelace" → AL; "ada" → AD.
function initials(name) {
  const words = name.split(/[\s._-]+/).filter(Boolean);
  const [first = "?", second] = words;
  return (second ? first[0] + second[0] : first.slice(0, 2)).toUpperCase();
}

const colourOf = (name) => [...name].reduce((sum, one) => (sum * 31 + one.codePointAt(0)) % 9973, 7) % COLOURS;

// of: a user name, or an actor as events have it. Its name stands beside it, so it is read to nobody.
export function Avatar({ of }) {
  const name = actorName(of);
  const isProgram = String(of).startsWith("agent:") || isAgent(String(of));
  return html`<span class=${`avatar ${isProgram ? "program" : `series-${colourOf(name) + 1}`}`} aria-hidden="true">
    ${isProgram ? html`<${Icon} name="agent" />` : initials(name)}
  </span>`;
}
