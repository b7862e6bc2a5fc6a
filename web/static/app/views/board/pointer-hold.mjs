// While a pointer is down on the board, its cards stay where they are. Else it would come up over another card or none,
// and the click be lost.

// Resolved when the pointer is up again; null when none is down.
let untilUp = null;

export const isPointerDown = () => untilUp !== null;

// Awaited before cards move.
export const pointerUp = () => untilUp;

// For the board's pointerdown.
export function holdCards(event) {
  if (!event.isPrimary || event.button !== 0 || untilUp) return;
  untilUp = new Promise((resolve) => {
    const stop = new AbortController();
    const end = () => {
      stop.abort();
      // After the click, which follows.
      setTimeout(() => {
        untilUp = null;
        resolve();
      });
    };
    // A menu of the system's, as Ctrl and a click open it on macOS, hears the pointer that comes up.
    for (const name of ["pointerup", "pointercancel", "contextmenu"]) {
      addEventListener(name, end, { signal: stop.signal });
    }
  });
}
