// The focus of what is disabled while its act is under way: the browser takes it away.
import { useLayoutEffect, useRef } from "preact/hooks";

// Gives the focus back after an act. isBusy: whether it is under way. Returns what is called when it begins.
export function useHeldFocus(isBusy) {
  const held = useRef(null);
  useLayoutEffect(() => {
    if (isBusy) return;
    // Who has gone elsewhere meanwhile stays there.
    if (document.activeElement === document.body) held.current?.focus({ preventScroll: true });
    held.current = null;
  }, [isBusy]);
  return () => void (held.current = document.activeElement);
}
