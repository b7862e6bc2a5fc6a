// Turns of a browser's tabs where it has no locks for them: on pages of plain HTTP from another machine.
import { readJson } from "../browser/storage.mjs";

const KEY = "aiworker.turn";
// Within this time, what one tab keeps is seen by all.
const VISIBLE_TO_ALL_MS = 250;
// From then on others may take the turn: it was asked for, or held, by a tab that has been closed.
const REQUEST_MS = 2000;
const HOLD_MS = 30_000;

const thisTab = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16)).join("");

const currentHolder = () => readJson(localStorage, KEY);
const takeLock = (ms) => localStorage.setItem(KEY, JSON.stringify({ by: thisTab, until: Date.now() + ms }));

// Does what `act` promises while no other tab does what it asked for here. Of tabs that ask at the same moment, the one
// has the turn that was written last.
export async function oneTabAtATime(act) {
  do {
    if (!(currentHolder()?.until > Date.now())) takeLock(REQUEST_MS);
    await new Promise((resolve) => setTimeout(resolve, VISIBLE_TO_ALL_MS));
    // Also if its time is over: a hidden tab may sleep for a minute.
  } while (currentHolder()?.by !== thisTab);
  takeLock(HOLD_MS);
  try {
    return await act();
  } finally {
    if (currentHolder()?.by === thisTab) localStorage.removeItem(KEY);
  }
}
