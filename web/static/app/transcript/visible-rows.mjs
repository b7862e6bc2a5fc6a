// Which rows of a long list are drawn: the end while the reader is there, else a stretch that moves with the reader.
// Rows may come at both ends: what is held is told by seq, which rises from row to row.
import { useLayoutEffect, useRef, useState } from "preact/hooks";

const STEP = 80;
const MOST = 240;
const NEAR_PIXELS = 240;
const AT_END_PIXELS = 40;

// The index of the first row whose seq is at least this one.
function indexOf(rows, seq) {
  let [low, high] = [0, rows.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle].seq < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}

// The rows from `from` to before `to`. held: null while the reader is at the end, else {first, last}: the seqs of the
// stretch that was drawn last.
function visibleRange(held, rows) {
  if (!held) return { from: Math.max(0, rows.length - STEP), to: rows.length };
  return { from: indexOf(rows, held.first), to: indexOf(rows, held.last + 1) };
}

function earlier({ from, to }) {
  const start = Math.max(0, from - STEP);
  return { from: start, to: Math.min(to, start + MOST) };
}

function later({ from, to }, count) {
  const end = Math.min(count, to + STEP);
  return { from: Math.max(from, end - MOST), to: end };
}

const around = (at, count) => ({ from: Math.max(0, at - STEP / 2), to: Math.min(count, at + STEP / 2) });

// {box, from, to, atEnd, onScroll, onClick, showEarlier, jump, reveal}: box is a ref for the element that scrolls. The
// rows in it have a data-seq, by which what the reader looks at stays in its place. reveal(seq) leads to that row.
export function useVisibleRows(rows) {
  const count = rows.length;
  const [held, setHeld] = useState(null);
  const box = useRef();
  const anchor = useRef(null);
  const wanted = useRef(null);
  const now = visibleRange(held, rows);
  const drawn = (seq) => box.current.querySelector(`[data-seq="${seq}"]`);

  useLayoutEffect(() => {
    const { current: scrolled } = box;
    if (!scrolled) return;
    if (wanted.current !== null) drawn(wanted.current)?.scrollIntoView({ block: "center" });
    else if (!held) scrolled.scrollTop = scrolled.scrollHeight;
    else if (anchor.current) {
      const row = drawn(anchor.current.seq);
      if (row) scrolled.scrollTop += row.getBoundingClientRect().top - anchor.current.top;
    }
    anchor.current = null;
    wanted.current = null;
  });

  const hold = ({ from, to }) => to > from && setHeld({ first: rows[from].seq, last: rows[to - 1].seq });

  const move = (next) => {
    const { top, bottom } = box.current.getBoundingClientRect();
    const kept = [...box.current.querySelectorAll("[data-seq]")].find((row) => {
      const place = row.getBoundingClientRect();
      return place.bottom > top && place.top < bottom;
    });
    if (kept) anchor.current = { seq: kept.dataset.seq, top: kept.getBoundingClientRect().top };
    hold(next);
  };

  const onScroll = () => {
    const { scrollTop, scrollHeight, clientHeight } = box.current;
    const left = scrollHeight - scrollTop - clientHeight;
    if (left < AT_END_PIXELS && now.to === count) {
      if (held) setHeld(null);
    } else if (scrollTop < NEAR_PIXELS && now.from > 0) move(earlier(now));
    else if (left < NEAR_PIXELS && now.to < count) move(later(now, count));
    else if (!held) hold(now);
  };

  return {
    box,
    ...now,
    atEnd: !held,
    onScroll,
    // What a click unfolds may push the end away: then the reader is no longer there.
    onClick: () => requestAnimationFrame(() => box.current && onScroll()),
    showEarlier: () => move(earlier(now)),
    jump: () => setHeld(null),
    reveal: (seq) => {
      wanted.current = seq;
      hold(around(indexOf(rows, seq), count));
    },
  };
}
