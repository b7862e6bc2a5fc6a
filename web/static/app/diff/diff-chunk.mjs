// A part of a file's diff, drawn when it comes near the screen: a long diff shows its first lines at once.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Button } from "../components/controls.mjs";
import { html } from "../components/html.mjs";
import { showInvisible } from "../components/invisible-characters.mjs";
import { t } from "../words/language.mjs";
import { LineComments } from "./diff-notes.mjs";
import { rowAt } from "./diff-rows.mjs";
import { highlightCode, highlightedPieces } from "./highlight.mjs";

export const CHUNK_ROWS = 80;
export const EXPAND_ROWS = 20;
const ROW_PIXELS = 20;
const NEAR = "900px";

let watcher = null;
const waiting = new WeakMap();

// Calls `act` once, when the element comes near the screen.
function whenNear(element, act) {
  watcher ??= new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) if (isIntersecting) waiting.get(target)?.();
    },
    { rootMargin: NEAR, scrollMargin: NEAR },
  );
  waiting.set(element, act);
  watcher.observe(element);
  return () => watcher.unobserve(element);
}

const SIGNS = { insert: "+", delete: "−", context: "" };

const Code = ({ row, colours }) =>
  highlightedPieces(row.text, colours, row.mark).map(([text, name, isMarked], index) =>
    isMarked
      ? html`<mark key=${index} class=${name}>${showInvisible(text)}</mark>`
      : name
        ? html`<span key=${index} class=${name}>${showInvisible(text)}</span>`
        : showInvisible(text),
  );

const sayCell = (side, number) =>
  side === "old" ? t("Comment on old line {number}", { number }) : t("Comment on line {number}", { number });

// The cell with a line's number, by which a keyboard comments on it.
const NumberCell = ({ side, number, old, fresh, stop, may }) =>
  html`<td
    class="nums"
    data-old=${old ?? undefined}
    data-new=${fresh ?? undefined}
    data-line=${number}
    data-side=${side}
    tabindex=${may ? (stop ? 0 : -1) : undefined}
    role=${may ? "button" : undefined}
    aria-label=${may ? sayCell(side, number) : undefined}
  ></td>`;

const unified = (row, index, stop, may, colours) => {
  const side = row.new === null ? "old" : "new";
  return html`<tr
    key=${index}
    class=${`code-row ${row.type}`}
    data-row=${index}
    data-line=${row[side]}
    data-side=${side}
  >
    <${NumberCell} side=${side} number=${row[side]} old=${row.old} fresh=${row.new} stop=${stop} may=${may} />
    <td class="code" data-sign=${SIGNS[row.type]}><${Code} row=${row} colours=${colours.get(row)} /></td>
  </tr>`;
};

function half(row, side, stop, may, colours) {
  if (!row) return html`<td class="nums"></td><td class="code none"></td>`;
  const number = row[side];
  const can = may && (row.type !== "context" || side === "new");
  const type = row.type;
  return html`
    <${NumberCell}
      side=${side}
      number=${number}
      old=${side === "old" ? number : null}
      fresh=${side === "new" ? number : null}
      stop=${stop && can}
      may=${can}
    />
    <td class=${`code ${type}`} data-line=${number} data-side=${can ? side : "new"} data-sign=${SIGNS[type]}>
      <${Code} row=${row} colours=${colours.get(row)} />
    </td>
  `;
}

const split = ({ left, right }, index, stop, may, colours) =>
  html`<tr key=${index} class="code-row" data-row=${index}>
    ${half(left, "old", stop && !right, may, colours)}${half(right, "new", stop, may, colours)}
  </tr>`;

// Lines that the diff leaves out, with buttons that show some of them. Without `expand` they can't be read.
function Gap({ item, index, columns, expand }) {
  const count = item.to === null ? null : item.to - item.from + 1;
  const isShort = count !== null && count <= EXPAND_ROWS;
  return html`<tr key=${`gap ${index}`} class="gap">
    <td colspan=${columns}>
      ${
        expand &&
        (isShort
          ? html`<${Button} small kind="ghost" testid="diff-expand" act=${() => expand(item.from, item.to)}>
              ${t("Show the lines between ({count})", { count })}
            <//>`
          : html`
              ${
                item.from > 1 &&
                html`<${Button}
                  small
                  kind="ghost"
                  testid="diff-expand"
                  act=${() => expand(item.from, item.from + EXPAND_ROWS - 1)}
                >
                  ${t("↓ {count} lines", { count: EXPAND_ROWS })}
                <//>`
              }
              ${
                item.to !== null &&
                html`<${Button}
                  small
                  kind="ghost"
                  testid="diff-expand"
                  act=${() => expand(item.to - EXPAND_ROWS + 1, item.to)}
                >
                  ${t("↑ {count} lines", { count: EXPAND_ROWS })}
                <//>`
              }
            `)
      }
      ${item.header && html`<code>${showInvisible(item.header)}</code>`}
    </td>
  </tr>`;
}

// The colours of the rows of this chunk, each side read as one text.
async function coloursOf(path, items) {
  const found = new Map();
  for (const side of ["old", "new"]) {
    const rows = items.map((item) => rowAt(item, side)).filter((row) => row && (side === "new" || row.new === null));
    if (!rows.length) continue;
    const lines = await highlightCode(
      path,
      rows.map((row) => row.text),
    );
    if (lines) rows.forEach((row, index) => found.set(row, lines[index]));
  }
  return found;
}

const NONE = new Map();
const later = window.requestIdleCallback || setTimeout;

// items: rows and gaps from the one numbered `first` on. notes: by the index of the item, what stands below it.
export function DiffChunk({ file, items, first, mode, notes, tools }) {
  const [isNear, setNear] = useState(tools.isFirst && first === 0);
  const [colours, setColours] = useState(NONE);
  const box = useRef();
  const drawn = isNear || notes.size > 0;
  useEffect(() => {
    tools.drawers.set(first, () => setNear(true));
    return drawn ? undefined : whenNear(box.current, () => setNear(true));
  }, [drawn]);
  useEffect(() => {
    if (!drawn) return undefined;
    let gone = false;
    later(
      () =>
        !gone &&
        coloursOf(file.path, items).then(
          (found) => !gone && found.size && setColours(found),
          () => {},
        ),
    );
    return () => {
      gone = true;
    };
  }, [drawn, items]);
  useLayoutEffect(() => {
    if (drawn) tools.onDrawn(box.current, first, items.length);
  }, [drawn]);
  if (!drawn) return html`<div class="chunk" ref=${box} style=${{ height: `${items.length * ROW_PIXELS}px` }}></div>`;
  const columns = mode === "split" ? 4 : 2;
  const draw = mode === "split" ? split : unified;
  return html`<div class="chunk" ref=${box}>
    <table class=${mode}>
      <colgroup>
        <col class="nums" /><col />
        ${mode === "split" && html`<col class="nums" /><col />`}
      </colgroup>
      <tbody>
        ${items.map((item, at) => {
          const index = first + at;
          const row = item.gap
            ? html`<${Gap} item=${item} index=${index} columns=${columns} expand=${tools.expand} />`
            : draw(item, index, index === tools.firstRow, tools.may, colours);
          if (!notes.has(index)) return row;
          return [
            row,
            html`<tr key=${`note ${index}`} class="note-row">
              <td colspan=${columns}>
                <${LineComments} of=${notes.get(index)} before=${tools.before} review=${tools.review} />
              </td>
            </tr>`,
          ];
        })}
      </tbody>
    </table>
  </div>`;
}
