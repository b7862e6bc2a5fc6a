// A unified diff by diff2html, with comments beside its lines. One of two places that set HTML, through DOMPurify.
import { render } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { lineDraft } from "../drafts.mjs";
import { html } from "../html.mjs";
import { Loading } from "./controls.mjs";
import { parsePatch } from "./patch.mjs";

const SCRIPT = "/static/vendor/diff2html-3.4.56/diff2html.min.js";
const MOST_CHARACTERS = 400_000;
const UNLOADED = "The diff viewer could not be loaded. Reload the page.";
let loading = null;

// diff2html is no module, and only who looks at a diff needs it.
function diff2html() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = SCRIPT;
    script.onload = () => resolve(window.Diff2Html);
    script.onerror = () => {
      loading = null;
      reject(new Error(UNLOADED));
    };
    document.head.append(script);
  });
  return loading;
}

const purifier = () =>
  import("dompurify").catch(() => {
    throw new Error(UNLOADED);
  });

const OPTIONS = {
  outputFormat: "line-by-line",
  drawFileList: false,
  matching: "lines",
  diffStyle: "word",
  colorScheme: "auto",
};

function draw(library, DOMPurify, patch) {
  const files = parsePatch(library, patch, OPTIONS);
  const markup = library.html(files, OPTIONS);
  const box = document.createElement("div");
  box.innerHTML = DOMPurify.sanitize(markup, {
    FORBID_ATTR: ["style", "id", "href"],
    FORBID_TAGS: ["style", "input", "form", "a"],
  });
  box.querySelectorAll(".d2h-file-wrapper").forEach((wrapper, index) => {
    const file = files[index];
    wrapper.dataset.path = file.isDeleted ? file.oldName : file.newName;
    wrapper.querySelectorAll("tr").forEach((row) => {
      const cell = row.querySelector("td.d2h-code-linenumber");
      const line = Number(
        cell?.querySelector(".line-num2")?.textContent || cell?.querySelector(".line-num1")?.textContent,
      );
      if (line) row.dataset.line = line;
      // Where a new line and a removed one share a number, comments stand at the new one.
      if (line && cell.querySelector(".line-num2")?.textContent) row.dataset.side = "new";
    });
  });
  return box;
}

function rowOf(box, path, line) {
  const file = [...box.querySelectorAll(".d2h-file-wrapper")].find((wrapper) => wrapper.dataset.path === path);
  const rows = file ? [...file.querySelectorAll(`tr[data-line="${Number(line)}"]`)] : [];
  return rows.find((row) => row.dataset.side === "new") || rows[0] || null;
}

const fieldOf = (box, { path, line }) => rowOf(box, path, line)?.nextElementSibling?.querySelector("textarea");

const Note = ({ comments, draft, drop }) =>
  html`<div class="note">
    ${comments.map(
      (comment) =>
        html`<div key=${comment.id} class="note-said">
          <b>${comment.author?.username || comment.author || "Someone"}</b> ${comment.body}
        </div>`,
    )}
    ${draft && html`<${Draft} draft=${draft} drop=${drop} />`}
  </div>`;

const Draft = ({ draft, drop }) => html`
  <label>
    <span class="sr">Comment on line ${draft.line} of ${draft.path}</span>
    <textarea
      rows="2"
      data-testid="diff-comment"
      value=${draft.body.value}
      placeholder="What should change here? It is sent with the rejection."
      onInput=${(event) => (draft.body.value = event.target.value)}
    ></textarea>
  </label>
  <button type="button" class="button small ghost" onClick=${drop}>Remove</button>
`;

const STEPS = { ArrowDown: 1, ArrowUp: -1, PageDown: 20, PageUp: -20, Home: -Infinity, End: Infinity };

// Moves the focus among the lines that may be commented on.
function goOn(box, event) {
  event.preventDefault();
  const cells = [...box.querySelectorAll("td[tabindex]")];
  const at = cells.indexOf(event.target) + STEPS[event.key];
  const next = cells[Math.max(0, Math.min(cells.length - 1, at))];
  for (const cell of box.querySelectorAll("td[tabindex='0']")) cell.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

// drafts: line drafts (../drafts.mjs) that are being written; setDrafts is null where comments aren't to be added.
export function Diff({ patch, comments, drafts, setDrafts }) {
  const host = useRef();
  const drawn = useRef(null);
  const notes = useRef(new Map());
  const begun = useRef(null); // the place of a draft that was just begun
  const [drawing, setDrawing] = useState("loading");
  const tooLong = patch.length > MOST_CHARACTERS;

  useEffect(() => {
    if (tooLong) return undefined;
    let gone = false;
    Promise.all([diff2html(), purifier()]).then(
      ([library, { default: DOMPurify }]) => {
        if (gone) return;
        drawn.current = draw(library, DOMPurify, patch);
        notes.current.clear();
        host.current.replaceChildren(drawn.current);
        setDrawing(`drawn ${patch.length} ${Date.now()}`);
      },
      (error) => !gone && setDrawing(error.message),
    );
    return () => {
      gone = true;
    };
  }, [patch]);

  useEffect(() => {
    const box = drawn.current;
    if (!box) return;
    box.classList.toggle("can-comment", !!setDrafts);
    // One stop of the Tab key; the arrow keys go from line to line.
    let stop = 0;
    box.querySelectorAll("td.d2h-code-linenumber").forEach((cell) => {
      if (setDrafts && cell.parentElement.dataset.line) {
        cell.tabIndex = stop;
        stop = -1;
        cell.setAttribute("role", "button");
        cell.setAttribute("aria-label", `Comment on line ${cell.parentElement.dataset.line}`);
      } else cell.removeAttribute("tabindex");
    });
  }, [drawing, !setDrafts]);

  // Before the next key: what is typed right after choosing a line is meant for its comment.
  useLayoutEffect(() => {
    if (!drawn.current) return;
    showNotes(drawn.current, notes.current, comments, drafts, setDrafts);
    if (begun.current) fieldOf(drawn.current, begun.current)?.focus();
    begun.current = null;
  }, [drawing, comments, drafts, !setDrafts]);

  const add = (event) => {
    if (!setDrafts || event.target.closest(".note")) return;
    if (event.type === "keydown" && !event.target.matches("td.d2h-code-linenumber")) return;
    if (STEPS[event.key]) return goOn(drawn.current, event);
    if (event.type === "keydown" && event.key !== "Enter" && event.key !== " ") return;
    if (event.type === "click" && String(getSelection())) return;
    const row = event.target.closest("tr[data-line]");
    if (!row) return;
    event.preventDefault();
    const path = row.closest(".d2h-file-wrapper").dataset.path;
    const line = Number(row.dataset.line);
    if (drafts.some((draft) => draft.path === path && draft.line === line))
      return fieldOf(drawn.current, { path, line })?.focus();
    begun.current = { path, line };
    setDrafts([...drafts, lineDraft(path, line)]);
  };

  if (tooLong) return html`<pre class="lines" tabindex="0" role="group" aria-label="Changes">${patch}</pre>`;
  return html`
    <div class="diff" ref=${host} onClick=${add} onKeyDown=${add}>${drawing === "loading" && html`<${Loading} />`}</div>
    ${!drawing.startsWith("drawn") && drawing !== "loading" && html`<p class="fault">${drawing}</p>`}
  `;
}

// Puts one row below each line that has comments or a draft, and takes away those that have none any more.
function showNotes(box, notes, comments, drafts, setDrafts) {
  const places = new Map();
  const place = (path, line) => {
    const key = `${path}\n${line}`;
    if (!places.has(key)) places.set(key, { path, line, comments: [], draft: null });
    return places.get(key);
  };
  for (const comment of comments)
    if (comment.path && comment.line) place(comment.path, comment.line).comments.push(comment);
  for (const draft of setDrafts ? drafts : []) place(draft.path, draft.line).draft = draft;
  for (const [key, cell] of notes) {
    if (places.has(key)) continue;
    render(null, cell);
    cell.parentElement.remove();
    notes.delete(key);
  }
  for (const [key, { path, line, comments: said, draft }] of places) {
    if (!notes.has(key)) {
      const below = rowOf(box, path, line);
      if (!below) continue;
      const row = document.createElement("tr");
      const cell = document.createElement("td");
      cell.colSpan = 2;
      row.append(cell);
      below.after(row);
      notes.set(key, cell);
    }
    const others = drafts.filter((other) => other !== draft);
    render(html`<${Note} comments=${said} draft=${draft} drop=${() => setDrafts(others)} />`, notes.get(key));
  }
}
