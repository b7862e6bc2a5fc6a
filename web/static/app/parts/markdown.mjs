// Markdown that people and agents wrote. One of two places that set HTML; all of it goes through DOMPurify.
import DOMPurify from "dompurify";
import { Marked } from "marked";
import { useMemo } from "preact/hooks";
import { html } from "../html.mjs";
import { webUrl } from "../words.mjs";

const ALLOWED = {
  ALLOWED_TAGS: [
    "p",
    "br",
    "strong",
    "em",
    "del",
    "code",
    "pre",
    "blockquote",
    "ul",
    "ol",
    "li",
    "a",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
  ],
  ALLOWED_ATTR: ["href", "title", "start"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
};

const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
// HTML in the text is shown as it was written: agents speak of tags, and none of them is to become one.
const marked = new Marked({
  gfm: true,
  breaks: true,
  async: false,
  renderer: { html: ({ text }) => text.replace(/[&<>"']/g, (one) => ESCAPES[one]) },
});

const purify = DOMPurify(window);
purify.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName === "PRE") {
    // It scrolls, so the keyboard must reach it.
    for (const [name, value] of Object.entries({ tabindex: "0", role: "group", "aria-label": "Code" }))
      node.setAttribute(name, value);
  }
  if (node.tagName !== "A") return;
  const url = webUrl(node.getAttribute("href"));
  if (!url) return node.removeAttribute("href");
  node.setAttribute("target", "_blank");
  node.setAttribute("rel", "noopener noreferrer");
});

export function Markdown({ text }) {
  const safe = useMemo(() => purify.sanitize(marked.parse(text || ""), ALLOWED), [text]);
  return html`<div class="md" dangerouslySetInnerHTML=${{ __html: safe }}></div>`;
}
