// Which rows of a long list are drawn: the end while the reader is there, else a stretch that moves with the reader.
import { useLayoutEffect, useRef, useState } from "preact/hooks";

const STEP = 80;
const MOST = 240;
const NEAR_PIXELS = 240;
const AT_END_PIXELS = 40;

// The rows from `from` to before `to`. held: null while the reader is at the end, else the stretch that was drawn last.
export function stretch(held, count) {
  if (!held) return { from: Math.max(0, count - STEP), to: count };
  return { from: Math.min(held.from, count), to: Math.min(held.to, count) };
}

export function earlier({ from, to }) {
  const start = Math.max(0, from - STEP);
  return { from: start, to: Math.min(to, start + MOST) };
}

export function later({ from, to }, count) {
  const end = Math.min(count, to + STEP);
  return { from: Math.max(from, end - MOST), to: end };
}

// {box, from, to, atEnd, onScroll, onClick, showEarlier, jump}: box is a ref for the element that scrolls. The rows in
// it have a data-seq, by which what the reader looks at stays in its place.
export function useStretch(count) {
  const [held, setHeld] = useState(null);
  const box = useRef();
  const anchor = useRef(null);
  const now = stretch(held, count);

  useLayoutEffect(() => {
    const { current: scrolled } = box;
    if (!scrolled) return;
    if (!held) scrolled.scrollTop = scrolled.scrollHeight;
    else if (anchor.current) {
      const row = scrolled.querySelector(`[data-seq="${anchor.current.seq}"]`);
      if (row) scrolled.scrollTop += row.getBoundingClientRect().top - anchor.current.top;
    }
    anchor.current = null;
  });

  const move = (next) => {
    const { top, bottom } = box.current.getBoundingClientRect();
    const kept = [...box.current.querySelectorAll("[data-seq]")].find((row) => {
      const place = row.getBoundingClientRect();
      return place.bottom > top && place.top < bottom;
    });
    if (kept) anchor.current = { seq: kept.dataset.seq, top: kept.getBoundingClientRect().top };
    setHeld(next);
  };

  const onScroll = () => {
    const { scrollTop, scrollHeight, clientHeight } = box.current;
    const left = scrollHeight - scrollTop - clientHeight;
    if (left < AT_END_PIXELS && now.to === count) {
      if (held) setHeld(null);
    } else if (scrollTop < NEAR_PIXELS && now.from > 0) move(earlier(now));
    else if (left < NEAR_PIXELS && now.to < count) move(later(now, count));
    else if (!held) setHeld(now);
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
  };
}
