// Where the focus goes when the browser takes it away: from what is disabled while its act is under way, and from what
// is not there any more after it.
import { useLayoutEffect, useRef } from "preact/hooks";

// Gives the focus back after an act. isBusy: whether it is under way. Returns what is called when it begins.
export function useRestoredFocus(isBusy) {
  const held = useRef(null);
  useLayoutEffect(() => {
    if (isBusy) return;
    // Who has gone elsewhere meanwhile stays there.
    if (document.activeElement === document.body) held.current?.focus({ preventScroll: true });
    held.current = null;
  }, [isBusy]);
  return () => void (held.current = document.activeElement);
}

const ROWS = "li,tr,.card-slot";
const isShown = (element) => element.isConnected && element.checkVisibility();

// What had the focus last: on the page, and in each dialog.
const lastFocused = new WeakMap();
const layer = (element) => element.closest("dialog") ?? document.body;
const top = () => [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;

// Where an element is: what it lies in, from the inside out, and the rows beside its own, those after it first.
// The element of the whole page is left out: who signs in, for example, gets another page and begins at its top.
function placeOf(element) {
  const around = [];
  const page = document.getElementById("app");
  for (let one = element.parentElement; one && one !== page; one = one.parentElement) around.push(one);
  const row = element.closest(ROWS);
  const all = row ? [...row.parentElement.children].filter((one) => one.matches(ROWS)) : [];
  const at = all.indexOf(row);
  return { element, around, row, beside: [...all.slice(at + 1), ...all.slice(0, at).reverse()] };
}

// The row that it was in or that took its place, else the heading of what it was in.
function nextTo({ around, row, beside }) {
  const near = row && [row, ...beside].find(isShown);
  if (near) return near;
  const headings = around
    .filter((one) => one.isConnected)
    .flatMap((one) => [...one.querySelectorAll("h1"), ...one.querySelectorAll("h2, h3")]);
  return headings.find(isShown);
}

// A row or a heading has the focus for as long as it keeps it, and is read out as a whole.
function focusElement(element) {
  const inner = element.matches(".card-slot") ? element.querySelector(".card") : element;
  if (inner.tabIndex < 0) {
    inner.setAttribute("tabindex", "-1");
    inner.addEventListener("blur", () => inner.removeAttribute("tabindex"), { once: true });
  }
  inner.focus({ preventScroll: true });
  // A view that one comes back to stays where it was.
  if (element.matches(ROWS)) inner.scrollIntoView({ block: "nearest" });
}

function restoreFocus() {
  const place = lastFocused.get(top());
  if (!place || place.element.isConnected || document.activeElement !== document.body) return;
  const found = nextTo(place);
  if (!found) return;
  lastFocused.delete(top());
  focusElement(found);
}

// Keeps the focus on the page when the button that was pressed, or the row that it was in, goes away.
export function restoreLostFocus() {
  let waits = false;
  // After what the views do themselves: a dialog gives the focus back, a form is put into another one's place.
  const soon = () => {
    if (waits || document.activeElement !== document.body) return;
    waits = true;
    requestAnimationFrame(() =>
      setTimeout(() => {
        waits = false;
        restoreFocus();
      }),
    );
  };
  addEventListener("focusin", ({ target }) => lastFocused.set(layer(target), placeOf(target)));
  // Who points or scrolls elsewhere leaves it on purpose.
  for (const name of ["pointerdown", "wheel"])
    addEventListener(name, () => lastFocused.delete(top()), { capture: true, passive: true });
  new MutationObserver(soon).observe(document.getElementById("app"), { childList: true, subtree: true });
}
