// Syntax colours: lines of code as pieces of text, each with the class that highlight.js gives it. What it returns is
// taken apart here and never set as HTML.
import { highlighter } from "../server/load-files.mjs";

const LONGEST_LINE = 1000;
const PIECE = /<span class="([^"]*)">|<\/span>|([^<]+)/g;
const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#x27;": "'" };
const NAMES = { makefile: "makefile", gnumakefile: "makefile", dockerfile: "bash", gemfile: "ruby", rakefile: "ruby" };
const ENDINGS = { mts: "ts", cts: "ts", htm: "html", vue: "html", svelte: "html", bat: "bash", tf: "ini" };

function languageOf(library, path) {
  const name = path.split("/").pop().toLowerCase();
  const ending = name.includes(".") ? name.split(".").pop() : "";
  const language = NAMES[name] || ENDINGS[ending] || ending;
  return library.getLanguage(language) ? language : null;
}

// highlight.js's markup as one list of [text, class] for each line.
function highlightedLines(markup) {
  const lines = [[]];
  const classes = [];
  for (const [, opened, text] of markup.matchAll(PIECE)) {
    if (opened !== undefined) classes.push(opened);
    else if (text === undefined) classes.pop();
    else {
      const plain = text.replace(/&(?:amp|lt|gt|quot|#x27);/g, (one) => ENTITIES[one]);
      plain.split("\n").forEach((part, index) => {
        if (index) lines.push([]);
        if (part) lines.at(-1).push([part, classes.at(-1) || ""]);
      });
    }
  }
  return lines;
}

// The lines of a part of this file, coloured; null where there is no language for it.
export async function highlightCode(path, texts) {
  const library = await highlighter();
  const language = languageOf(library, path);
  if (!language || texts.some((text) => text.length > LONGEST_LINE)) return null;
  return highlightedLines(library.highlight(texts.join("\n"), { language, ignoreIllegals: true }).value);
}

// One line as pieces [text, class, isMarked]: mark is [from, to] in characters, or null.
export function highlightedPieces(text, colours, mark) {
  const given = colours || (text ? [[text, ""]] : []);
  if (!mark) return given.map(([part, name]) => [part, name, false]);
  const cut = [];
  let at = 0;
  for (const [part, name] of given) {
    const from = Math.max(0, Math.min(part.length, mark[0] - at));
    const to = Math.max(from, Math.min(part.length, mark[1] - at));
    if (from) cut.push([part.slice(0, from), name, false]);
    if (to > from) cut.push([part.slice(from, to), name, true]);
    if (to < part.length) cut.push([part.slice(to), name, false]);
    at += part.length;
  }
  return cut;
}
