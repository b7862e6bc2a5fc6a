// Characters that nobody sees though they change how the text around them reads: marks and overrides of direction,
// zero-width ones, separators. Shown, so that code reads as a compiler reads it. The same as the platform refuses in
// names (common/machine/text.py); a joiner within one picture of several emoji can be seen by what it does.
import { html } from "./html.mjs";

const PICTURE = "[\\u2194\\u2195\\u2600-\\u27bf\\u2b1b\\u{1f000}-\\u{1faff}]";
const EMOJI = `${PICTURE}(?:\\ufe0f|[\\u{1f3fb}-\\u{1f3ff}])?`;
const INVISIBLE = "[\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff\\ufff9-\\ufffb\\u{e0000}-\\u{e007f}]";
const ANY = new RegExp(INVISIBLE, "u");
const EACH = new RegExp(`${EMOJI}(?:\\u200d${EMOJI})+|(?<invisible>${INVISIBLE})`, "gu");

const nameOf = (character) => `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

// The text as what is to be drawn: as it is, or in parts, with each such character as the name of its code point.
export function showInvisible(text) {
  if (!ANY.test(text)) return text;
  const parts = [];
  let at = 0;
  for (const { 0: found, index, groups } of text.matchAll(EACH)) {
    if (!groups.invisible) continue;
    parts.push(text.slice(at, index), html`<span class="invisible">${nameOf(found)}</span>`);
    at = index + found.length;
  }
  return parts.length ? [...parts, text.slice(at)] : text;
}

export const hasInvisible = (text) => showInvisible(text) !== text;
