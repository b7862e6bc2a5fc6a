// What stands below a line of a diff: what was said there, pending comments, and the ones that are being written.
import { useLayoutEffect, useRef } from "preact/hooks";
import { Button, Time } from "../components/controls.mjs";
import { html } from "../components/html.mjs";
import { showInvisible } from "../components/invisible-characters.mjs";
import { Markdown } from "../components/markdown.mjs";
import { usePastedPictures } from "../components/pasted-pictures.mjs";
import { actorName } from "../state/actors.mjs";
import { t } from "../words/language.mjs";
import { ResolveButton, ResolvedBy } from "./resolve-comment.mjs";

const FENCE = /^ {0,3}(`{3,}|~{3,})([^`]*)$/;

// The text of a comment as parts: {text}, and {suggestion} for each fenced block of that name.
function commentParts(body) {
  const parts = [];
  let plain = [];
  let fence = "";
  let block = null;
  const say = () => {
    const text = plain.join("\n").trim();
    if (text) parts.push({ text });
    plain = [];
  };
  for (const line of body.replace(/\r\n/g, "\n").split("\n")) {
    const found = FENCE.exec(line);
    if (!fence && found) {
      fence = found[1];
      block = found[2].trim().split(/\s+/)[0] === "suggestion" ? [] : null;
      plain.push(line);
    } else if (fence && found && found[1].startsWith(fence) && !found[2].trim()) {
      fence = "";
      if (block) {
        plain.length -= block.length + 1;
        say();
        parts.push({ suggestion: block });
        block = null;
      } else plain.push(line);
    } else {
      block?.push(line);
      plain.push(line);
    }
  }
  say();
  return parts;
}

// The lines that a suggestion replaces and those it puts there: a small diff.
const Suggestion = ({ before, after }) =>
  html`<div class="suggestion" data-testid="suggestion">
  <span class="suggestion-head">${t("Suggested change")}</span>
  <pre tabindex="0" role="group" aria-label=${t("Suggested change")}>
    ${before.map((line, index) => html`<del key=${`-${index}`}>${showInvisible(line) || " "}</del>`)}
    ${after.map((line, index) => html`<ins key=${`+${index}`}>${showInvisible(line) || " "}</ins>`)}
  </pre>
</div>`;

// before: the lines of the new version that the comment is about.
const Body = ({ body, before }) =>
  commentParts(body).map((part, index) =>
    part.suggestion
      ? html`<${Suggestion} key=${index} before=${before} after=${part.suggestion} />`
      : html`<${Markdown} key=${index} text=${part.text} />`,
  );

// "line 3" or "lines 3 to 5".
export const lineRangeText = ({ line, startLine, side }) => {
  const values = { line, startLine };
  if (side === "old") return startLine ? t("old lines {startLine} to {line}", values) : t("old line {line}", values);
  return startLine ? t("lines {startLine} to {line}", values) : t("line {line}", values);
};

// shows: whether its lines are named, where it does not stand below them. A resolved one is folded.
export function LineComment({ comment, before = [], shows = false, review }) {
  const who = html`
    <b>${actorName(comment.author) || t("Someone")}</b>
    <${Time} at=${comment.createdAt} />
    ${(shows || comment.startLine) && comment.line && html`<span class="muted">${lineRangeText(comment)}</span>`}
  `;
  const button = html`<${ResolveButton} comment=${comment} act=${review.resolve} />`;
  const body = html`<${Body} body=${comment.body} before=${before} />`;
  if (!comment.resolvedAt) {
    return html`<article class="note-said">
      <p class="note-head">${who}<span class="grow"></span>${button}</p>
      ${body}
    </article>`;
  }
  return html`<details class="note-said" data-testid="comment-resolved">
    <summary class="note-head">${who} <${ResolvedBy} comment=${comment} /></summary>
    ${body}
    <p class="note-acts">${button}</p>
  </details>`;
}

const Pending = ({ comment, before, review }) =>
  html`<article class="note-said pending" data-testid="pending-comment">
  <p class="note-head">
    <span class="chip ask">${t("Pending")}</span>
    ${comment.startLine && html`<span class="muted">${lineRangeText(comment)}</span>`}
    <span class="grow"></span>
    <button type="button" class="button small ghost" onClick=${() => review.change(comment)}>${t("Edit")}</button>
    <${Button} small kind="ghost" act=${() => review.remove(comment)}>${t("Remove")}<//>
  </p>
  <${Body} body=${comment.body} before=${before} />
</article>`;

// before: the lines it is about; a suggestion begins with them. isApart: it doesn't stand below its lines.
export function CommentEditor({ draft, before, review, isApart = false }) {
  const field = useRef();
  const pictures = usePastedPictures();
  useLayoutEffect(() => {
    const { current } = field;
    review.fields.set(draft, current);
    if (review.begun === draft) {
      // Before the next key: what is typed right after choosing a line is meant for its comment.
      review.begun = null;
      current.focus();
    }
    return () => {
      // It may go on elsewhere, apart from lines that another commit has changed.
      if (document.activeElement === current && review.editors.peek().includes(draft)) review.begun = draft;
    };
  }, [draft]);
  const suggest = () => {
    const block = ["```suggestion", ...before, "```", ""].join("\n");
    draft.body.value = draft.body.value.trim() ? `${draft.body.value.trimEnd()}\n\n${block}` : block;
    field.current.focus();
  };
  // The line that the comment is about has the focus again.
  const leaving = (act) => async () => {
    const cell = field.current.closest("tr")?.previousElementSibling?.querySelector("td.nums[tabindex]");
    await act(draft);
    cell?.focus({ preventScroll: true });
  };
  const pressed = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      event.currentTarget.closest(".note-write").querySelector("[data-testid='diff-comment-add']").click();
    }
    if (event.key === "Escape" && !draft.body.value.trim()) leaving(review.drop)();
  };
  const place = draft.line ? lineRangeText(draft) : "";
  return html`<div class="note-write">
    <label>
      <span class="sr">${t("Comment on {place} of {path}", { place, path: draft.path })}</span>
      <textarea
        ref=${field}
        rows="3"
        data-testid="diff-comment"
        ...${pictures}
        value=${draft.body.value}
        placeholder=${t("What should change here?")}
        onInput=${(event) => (draft.body.value = event.target.value)}
        onKeyDown=${pressed}
      ></textarea>
    </label>
    <p class="note-acts">
      <${Button} small act=${leaving(review.save)} testid="diff-comment-add" title="Ctrl+Enter">
        ${draft.id ? t("Save") : t("Add to the review")}
      <//>
      ${
        before.length > 0 &&
        draft.side !== "old" &&
        html`<button type="button" class="button small" data-testid="diff-suggest" onClick=${suggest}>
          ${t("Suggest a change")}
        </button>`
      }
      <button type="button" class="button small ghost" onClick=${leaving(review.drop)}>
        ${draft.id ? t("Cancel") : t("Remove")}
      </button>
      ${draft.startLine && !isApart && html`<span class="muted">${lineRangeText(draft)}</span>`}
    </p>
    ${!draft.id && !isApart && html`<p class="muted by-touch">${t("Touch another line's number for a range.")}</p>`}
  </div>`;
}

// of: {said, pending, editors}, all at one line; before(place) gives the lines of the new version.
export function LineComments({ of, before, review }) {
  const linesOf = (place) => (place.side === "old" ? [] : before(place));
  const rewritten = new Set(of.editors.map(({ id }) => id).filter(Boolean));
  return html`<div class="note">
    ${of.said.map(
      (one) => html`<${LineComment} key=${one.id} comment=${one} before=${linesOf(one)} review=${review} />`,
    )}
    ${of.pending
      .filter(({ id }) => !rewritten.has(id))
      .map((one) => html`<${Pending} key=${one.id} comment=${one} before=${linesOf(one)} review=${review} />`)}
    ${of.editors.map(
      (one) =>
        html`<${CommentEditor}
          key=${`${one.id} ${one.side} ${one.startLine}`}
          draft=${one}
          before=${linesOf(one)}
          review=${review}
        />`,
    )}
  </div>`;
}
