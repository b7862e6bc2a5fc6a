// One file of a diff: its head, its rows in chunks, and how lines are chosen for a comment: by a click, by dragging
// over numbers or clicking another one with Shift, by touching another number while the comment is written, or by the
// arrow keys (with Shift for a range) and Enter.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Button, classNames } from "../components/controls.mjs";
import { html } from "../components/html.mjs";
import { hasInvisible, showInvisible } from "../components/invisible-characters.mjs";
import { t, tn } from "../words/language.mjs";
import { CHUNK_ROWS, DiffChunk, EXPAND_ROWS } from "./diff-chunk.mjs";
import { CommentEditor, LineComment, lineRangeText } from "./diff-notes.mjs";
import { affectsTests, itemsOf, linesAround, rowAt, sideBySide } from "./diff-rows.mjs";

const STEPS = {
  ArrowDown: 1,
  ArrowUp: -1,
  PageDown: EXPAND_ROWS,
  PageUp: -EXPAND_ROWS,
  Home: -Infinity,
  End: Infinity,
};
const STATUSES = { added: () => t("New"), deleted: () => t("Deleted"), renamed: () => t("Renamed") };

const NO_MORE = { of: null, lines: new Map(), total: null };

// Where each note stands: by the index of the item above it; `lost` are those whose lines are not shown.
function placed(items, { said, pending, editors }) {
  const notes = new Map();
  const lost = [];
  if (!said.length && !pending.length && !editors.length) return { notes, lost };
  const found = new Map();
  items.forEach((item, index) => {
    for (const side of ["old", "new"]) {
      const row = rowAt(item, side);
      if (row && (side === "new" || row.type === "delete" || !found.has(`old ${row.old}`)))
        found.set(`${side} ${row[side]}`, index);
    }
  });
  const put = (kind, one) => {
    const index = found.get(`${one.side || "new"} ${one.line}`);
    if (index === undefined) return lost.push({ kind, one });
    if (!notes.has(index)) notes.set(index, { said: [], pending: [], editors: [] });
    notes.get(index)[kind].push(one);
  };
  said.forEach((one) => put("said", one));
  pending.forEach((one) => put("pending", one));
  editors.forEach((one) => put("editors", one));
  return { notes, lost };
}

// Whether a chunk has to be drawn again for these notes.
const same = (one, other) =>
  one.size === other.size &&
  [...one].every(([index, notes]) => {
    const before = other.get(index);
    return (
      before &&
      ["said", "pending", "editors"].every(
        (kind) =>
          notes[kind].length === before[kind].length && notes[kind].every((each, at) => each === before[kind][at]),
      )
    );
  });

// The lines of the rows from one index to another, on one side: the side of the last one.
function placeOf(items, from, to, side) {
  const [first, last] = from < to ? [from, to] : [to, from];
  const on = side || (rowAt(items[last], "new") ? "new" : "old");
  const numbers = items.slice(first, last + 1).map((item) => rowAt(item, on)?.[on]);
  const there = numbers.filter(Boolean);
  if (!there.length) return null;
  return { line: there.at(-1), startLine: there.length > 1 ? there[0] : null, side: on };
}

// The row that was clicked last, for a click with Shift.
let clicked = null;
// The comment that a finger began last, and the line and side that it touched: {draft, line, side}.
let touched = null;

// Choosing lines. Nothing is drawn for it: classes and tab stops are set on what is there.
function chooser({ body, items, drawers, review, open, written, isSplit }) {
  let anchor = null;
  let isTouch = false;
  let dragged = null;
  let wanted = null;
  const cellsOf = (index) => [...(body.current?.querySelectorAll(`[data-row="${index}"] td.nums[tabindex]`) || [])];
  const rowOf = (element) => Number(element.closest("[data-row]")?.dataset.row ?? NaN);
  const sideOf = (element) => (isSplit ? element.closest("[data-side]")?.dataset.side : null);
  const mark = (from, to) => {
    const [first, last] = from < to ? [from, to] : [to, from];
    for (const row of body.current.querySelectorAll("[data-row]"))
      row.classList.toggle("chosen", from !== null && row.dataset.row >= first && row.dataset.row <= last);
  };
  const stopAt = (cell) => {
    for (const other of body.current.querySelectorAll("td[tabindex='0']")) other.tabIndex = -1;
    cell.tabIndex = 0;
  };
  const comment = (from, to, side) => {
    const place = placeOf(items, from, to, side);
    mark(null, null);
    anchor = null;
    return place && open(place);
  };
  // By touch, another number makes the comment that is being written one on all lines up to it.
  const extended = (row) => {
    const draft = written();
    if (!draft) return false;
    const { line, side } = touched?.draft === draft ? touched : { ...draft, line: draft.startLine ?? draft.line };
    const first = items.findIndex((item) => rowAt(item, side)?.[side] === line);
    const place = first < 0 ? null : placeOf(items, first, row, side);
    const longer = place && review.extend(draft, place);
    if (longer) touched = { draft: longer, line, side };
    return Boolean(longer);
  };
  const focusOn = (index, side) => {
    const cells = cellsOf(index);
    const cell = cells.find((one) => one.dataset.side === side) || cells.at(-1);
    if (!cell) {
      wanted = { index, side };
      drawers.get(Math.floor(index / CHUNK_ROWS) * CHUNK_ROWS)?.();
      return;
    }
    wanted = null;
    stopAt(cell);
    cell.focus();
  };
  const step = (event) => {
    const from = rowOf(event.target);
    const rows = items.flatMap((item, index) => (item.gap ? [] : [index]));
    const at = rows.indexOf(from) + STEPS[event.key];
    const to = rows[Math.max(0, Math.min(rows.length - 1, at))];
    if (event.shiftKey) {
      anchor ??= from;
      mark(anchor, to);
    } else if (anchor !== null) {
      anchor = null;
      mark(null, null);
    }
    focusOn(to, event.target.dataset.side);
  };
  return {
    onDrawn: (index, length) => {
      if (wanted && wanted.index >= index && wanted.index < index + length) focusOn(wanted.index, wanted.side);
    },
    onFocusIn: (event) => event.target.matches("td.nums[tabindex]") && stopAt(event.target),
    onKeyDown: (event) => {
      if (!event.target.matches("td.nums")) return;
      if (STEPS[event.key]) step(event);
      else if (event.key === "Enter" || event.key === " ")
        comment(anchor ?? rowOf(event.target), rowOf(event.target), sideOf(event.target));
      else if (event.key === "Escape" && anchor !== null) {
        anchor = null;
        mark(null, null);
        event.stopPropagation();
      } else return;
      event.preventDefault();
    },
    onPointerDown: (event) => {
      dragged = null;
      isTouch = event.pointerType === "touch";
      if (event.button || event.pointerType !== "mouse" || event.shiftKey) return;
      const cell = event.target.closest("td.nums[data-line]");
      if (cell) dragged = { from: rowOf(cell), to: rowOf(cell), side: sideOf(cell) };
    },
    onPointerOver: (event) => {
      if (!dragged || !event.buttons) return;
      const row = rowOf(event.target);
      if (Number.isNaN(row) || row === dragged.to) return;
      getSelection().removeAllRanges();
      dragged.to = row;
      mark(dragged.from, row);
    },
    onPointerUp: () => {
      if (dragged && dragged.to !== dragged.from) comment(dragged.from, dragged.to, dragged.side);
      else dragged = null;
    },
    onClick: (event) => {
      const isDrag = dragged !== null;
      dragged = null;
      if (isDrag || event.target.closest(".note, button, a")) return;
      const row = rowOf(event.target);
      if (Number.isNaN(row) || (!event.shiftKey && String(getSelection()))) return;
      if (event.shiftKey && clicked?.items === items) {
        getSelection().removeAllRanges();
        return comment(clicked.row, row, sideOf(event.target));
      }
      if (isTouch && event.target.closest("td.nums") && extended(row)) return;
      clicked = { items, row };
      const draft = comment(row, row, sideOf(event.target));
      touched = isTouch && draft ? { draft, line: draft.line, side: draft.side } : null;
    },
  };
}

// index: of the file in the diff. head: the diff's head commit. read(path, first, last): lines of a file at the head;
// null where they can't be read. notes: {said, older, pending, waiting, editors, strayed} of it.
export function DiffFile({ file, index, head, mode, review, may, notes, viewed, setViewed, read }) {
  const [fold, setFold] = useState(null);
  const [expanded, setMore] = useState(NO_MORE);
  // Lines that were read for an earlier version of the file are not those of this one.
  const more = expanded.of === file ? expanded : NO_MORE;
  const body = useRef();
  const drawers = useRef(new Map()).current;
  const kept = useRef([]);
  // The places of comments for which lines were read: each is tried once.
  const unfolded = useRef(new Set()).current;
  const isFolded = fold ?? viewed;
  const items = useMemo(() => {
    const plain = itemsOf(file, more.lines, more.total);
    return mode === "split" ? sideBySide(plain) : plain;
  }, [file, more, mode]);
  // What is deleted misleads nobody any more.
  const isMisleading = useMemo(
    () => file.blocks.some(({ rows }) => rows.some(({ type, text }) => type !== "delete" && hasInvisible(text))),
    [file],
  );
  const chunks = useMemo(
    () =>
      Array.from({ length: Math.ceil(items.length / CHUNK_ROWS) }, (_, at) =>
        items.slice(at * CHUNK_ROWS, (at + 1) * CHUNK_ROWS),
      ),
    [items],
  );
  const tools = useMemo(() => {
    const texts = new Map(items.map((item) => rowAt(item, "new")).flatMap((row) => (row ? [[row.new, row.text]] : [])));
    const open = (place) => review.write({ path: file.path, commitSha: head, ...place });
    const isHere = ({ path, id, commitSha }) => path === file.path && !id && commitSha === head;
    const written = () => review.editors.value.findLast(isHere);
    const chosen = chooser({ body, items, drawers, review, open, written, isSplit: mode === "split" });
    return {
      ...chosen,
      drawers,
      review,
      may,
      isFirst: index < 2,
      firstRow: items.findIndex((item) => !item.gap),
      onDrawn: (_box, first, length) => chosen.onDrawn(first, length),
      before: ({ line, startLine }) => {
        const numbers = Array.from({ length: line - (startLine || line) + 1 }, (_, at) => (startLine || line) + at);
        return numbers.every((number) => texts.has(number)) ? numbers.map((number) => texts.get(number)) : [];
      },
      expand:
        read &&
        (async (first, last) => {
          const found = await read(file.path, first, last);
          setMore((old) => ({
            of: file,
            lines: new Map([
              ...(old.of === file ? old.lines : []),
              ...found.lines.map((text, at) => [first + at, text]),
            ]),
            total: found.totalLines,
          }));
        }),
    };
  }, [items, may, review, head]);
  const { notes: below, lost } = useMemo(() => placed(items, notes), [items, notes]);
  useEffect(() => {
    if (isFolded || !tools.expand) return;
    const placeAt = ({ line, side }) => `${head} ${side} ${line}`;
    const fresh = lost.map(({ one }) => one).filter((one) => !unfolded.has(placeAt(one)));
    for (const one of fresh) unfolded.add(placeAt(one));
    (async () => {
      // What can't be read stays a comment without its line.
      for (const [first, last] of linesAround(items, fresh)) await tools.expand(first, last).catch(() => {});
    })();
  }, [lost, isFolded]);
  const ofChunk = (at) => new Map([...below].filter(([row]) => Math.floor(row / CHUNK_ROWS) === at));
  const drawn = chunks.map((part, at) => {
    const own = below.size ? ofChunk(at) : below;
    const before = kept.current[at];
    if (before && before.part === part && before.tools === tools && same(before.own, own)) return before;
    const vnode = html`<${DiffChunk}
      key=${`${mode} ${at}`}
      file=${file}
      items=${part}
      first=${at * CHUNK_ROWS}
      mode=${mode}
      notes=${own}
      tools=${tools}
    />`;
    return { part, tools, own, vnode };
  });
  kept.current = drawn;
  const path = file.oldPath && file.oldPath !== file.path ? `${file.oldPath} → ${file.path}` : file.path;
  const count = notes.pending.length + notes.waiting.length + notes.said.length;
  return html`<section
    class=${classNames("diff-file", isFolded && "folded")}
    data-path=${file.path}
    data-index=${index}
  >
    <header class="diff-head">
      <button type="button" class="fold" aria-expanded=${!isFolded} onClick=${() => setFold(!isFolded)}>
        <span class="sr">${isFolded ? t("Show") : t("Hide")} </span>
        <code>${showInvisible(path)}</code>
      </button>
      ${STATUSES[file.status] && html`<span class="chip">${STATUSES[file.status]()}</span>`}
      ${isMisleading && html`<span class="chip bad">${t("Invisible characters")}</span>`}
      ${affectsTests(file.path) && html`<span class="chip">${t("Tests depend on it")}</span>`}
      ${count > 0 && html`<span class="chip">${tn(count, "{count} comment", "{count} comments")}</span>`}
      <span class="grow"></span>
      <${LineCounts} of=${file} />
      <label class="viewed">
        <input
          type="checkbox"
          data-testid="file-viewed"
          checked=${viewed}
          onChange=${(event) => {
            setFold(null);
            setViewed(file.path, event.target.checked);
          }}
        />
        ${t("Viewed")}
      </label>
    </header>
    ${
      !isFolded &&
      html`
        <${Others} lost=${lost} notes=${notes} review=${review} />
        ${
          items.length
            ? html`<div
                class=${classNames("diff-body", may && "can-comment")}
                ref=${body}
                onClick=${may ? tools.onClick : undefined}
                onKeyDown=${may ? tools.onKeyDown : undefined}
                onfocusin=${may ? tools.onFocusIn : undefined}
                onPointerDown=${may ? tools.onPointerDown : undefined}
                onPointerOver=${may ? tools.onPointerOver : undefined}
                onPointerUp=${may ? tools.onPointerUp : undefined}
              >
                ${drawn.map(({ vnode }) => vnode)}
              </div>`
            : html`<p class="muted diff-none">
              ${t("No lines to show: a binary file, or only its name or mode changed.")}
            </p>`
        }
      `
    }
  </section>`;
}

export const LineCounts = ({ of: { additions, deletions } }) =>
  html`<span class="counts">
  ${additions > 0 && html`<b class="plus">+${additions}</b>`}
  ${" "} ${deletions > 0 && html`<b class="minus">−${deletions}</b>`}
</span>`;

// Comments on lines of earlier versions of the change, and on lines that this diff does not show.
function Others({ lost, notes: { older, waiting, strayed }, review }) {
  const said = [...older, ...lost.filter(({ kind }) => kind === "said").map(({ one }) => one)];
  const mine = [...waiting.map((one) => ({ kind: "pending", one })), ...lost.filter(({ kind }) => kind !== "said")];
  if (!said.length && !mine.length && !strayed.length) return null;
  return html`<div class="note others">
    ${
      said.length > 0 &&
      html`<details>
        <summary>
          ${tn(said.length, "{count} comment on another version", "{count} comments on other versions")}
        </summary>
        ${said.map((one) => html`<${LineComment} key=${one.id} comment=${one} review=${review} shows />`)}
      </details>`
    }
    ${strayed.map(
      (one) =>
        html`<div key=${`${one.id} ${one.commitSha} ${one.side} ${one.startLine} ${one.line}`}>
          <p class="note-head muted">${t("{place}, another version", { place: lineRangeText(one) })}</p>
          <${CommentEditor} draft=${one} before=${[]} review=${review} isApart />
        </div>`,
    )}
    ${mine.map(
      ({ kind, one }) =>
        html`<p key=${`${kind} ${one.side} ${one.line}`} class="note-head">
          <span class="chip ask">${t("Pending")}</span>
          <span>${kind === "editors" ? one.body.value : one.body}</span>
          <${Button} small kind="ghost" act=${async () => (kind === "editors" ? review.drop(one) : review.remove(one))}>
            ${t("Remove")}
          <//>
        </p>`,
    )}
  </div>`;
}
