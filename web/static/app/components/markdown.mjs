// Markdown that people and agents wrote. The one place that sets HTML; all of it goes through DOMPurify.
import { useContext, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { t } from "../words/language.mjs";
import { webUrl } from "../words/words.mjs";
import { html } from "./html.mjs";
import { TaskContext } from "./pasted-pictures.mjs";

const ALLOWED = {
  ALLOWED_TAGS:
    "p br strong em del code pre blockquote ul ol li a h1 h2 h3 h4 h5 h6 hr table thead tbody tr th td img".split(" "),
  // Without src: a picture's content is put in by shown-pictures.mjs, and nothing else is loaded.
  ALLOWED_ATTR: ["href", "title", "start", "alt"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
};

const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

const escaped = (text) => text.replace(/[&<>"']/g, (one) => ESCAPES[one]);

// A picture among the task's files is named; one of the web becomes a link to it.
function image({ href, text }) {
  if (webUrl(href)) return `<a href="${escaped(href)}">${escaped(text || href)}</a>`;
  let name = href;
  try {
    name = decodeURIComponent(href);
  } catch {
    // It is a name as it is.
  }
  return `<img class="preview" alt="${escaped(text || name)}" title="${escaped(name)}">`;
}

// The library calls itself for each quote or list within another, and looks at a long stretch without a space, or of
// spaces alone, once for each of its characters: such texts would end in an error, or stop the page for seconds.
const LONGEST_TEXT = 100_000;
const LONGEST_STRETCH = 4000;
const TOO_NESTED = /^(?![ \t]*([-*])(?:[ \t]*\1)*[ \t]*$)(?:[ \t]*(?:>|(?:[-*+]|\d{1,9}[.)])(?=[ \t]))){50}/m;

const isHard = (text) =>
  text.length > LONGEST_TEXT ||
  [/\s+/, /\S+/].some((gap) => text.split(gap).some(({ length }) => length > LONGEST_STRETCH)) ||
  TOO_NESTED.test(text);

async function load() {
  const [{ default: DOMPurify }, { Marked }] = await Promise.all([import("dompurify"), import("marked")]);
  // HTML in the text is shown as it was written: agents speak of tags, and none of them is to become one.
  const marked = new Marked({
    gfm: true,
    breaks: true,
    async: false,
    renderer: { html: ({ text }) => escaped(text), image },
  });
  const purify = DOMPurify(window);
  purify.addHook("afterSanitizeAttributes", (node) => {
    if (node.tagName === "PRE") {
      // It scrolls, so the keyboard must reach it.
      for (const [name, value] of Object.entries({ tabindex: "0", role: "group", "aria-label": t("Code") }))
        node.setAttribute(name, value);
    }
    if (node.tagName === "IMG") return node.setAttribute("data-testid", "inline-picture");
    if (node.tagName !== "A") return;
    const url = webUrl(node.getAttribute("href"));
    if (!url) return node.removeAttribute("href");
    node.setAttribute("target", "_blank");
    node.setAttribute("rel", "noopener noreferrer");
  });
  return (text) => {
    if (isHard(text)) return undefined;
    try {
      return purify.sanitize(marked.parse(text), ALLOWED);
    } catch (error) {
      // One text that the library can't read must not take away the view around it.
      console.error(error);
      return undefined;
    }
  };
}

// The text as HTML that is safe to set; undefined for a text that is better shown as it was written.
let toHtml = null;
let loading = null;

// Loaded once; who could not load it tries again with the next text.
function ready() {
  loading ??= load().then(
    (made) => {
      toHtml = made;
    },
    () => {
      loading = null;
    },
  );
  return loading;
}

// Until the library is there, and without it, the text is shown as it was written; so is one that it can't read.
export function Markdown({ text }) {
  const [, setReady] = useState(toHtml !== null);
  useEffect(() => {
    let gone = false;
    if (!toHtml) ready().then(() => !gone && setReady(toHtml !== null));
    return () => {
      gone = true;
    };
  }, []);
  const safe = useMemo(() => toHtml?.(text || ""), [text, toHtml]);
  const task = useContext(TaskContext);
  const box = useRef();
  const files = (task?.attachments || []).map(({ id }) => id).join(" ");
  useEffect(() => {
    const images = box.current?.querySelectorAll("img:not([src])");
    if (files && images?.length)
      import("./shown-pictures.mjs").then(
        ({ showPictures }) => showPictures(images, task),
        () => {}, // Each says its name.
      );
  }, [safe, files]);
  if (safe === undefined) return html`<div class="md"><p class="unread">${text}</p></div>`;
  return html`<div class="md" ref=${box} dangerouslySetInnerHTML=${{ __html: safe }}></div>`;
}
