// Who is signed in. No other module reads the tokens where they are kept.
import { signal } from "@preact/signals";
import { ROLES } from "../words/states.mjs";

const KEY = "aiworker.session";
const NAME = "aiworker.name";
const FIRST_NAME = "admin";

// The tokens as kept: {accessToken, refreshToken, expiresAt (ms)}, or null.
let tokens = read();

// The caller ({id, username, role}); null while nobody is signed in or it isn't known yet.
export const user = signal(null);
export const signedIn = signal(tokens !== null);
// Whether the last session ended by itself, and not by signing out.
export const hasEnded = signal(false);
// How many calls were refused with a 403: the caller's role may be another one than it was.
export const refusals = signal(0);

function read() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY));
    return kept && kept.accessToken && kept.refreshToken ? kept : null;
  } catch {
    return null;
  }
}

export const current = () => tokens;

// Reads what another tab may have kept since: it may have rotated the refresh token.
export function reread() {
  tokens = read();
  signedIn.value = tokens !== null;
  return tokens;
}

export function keep({ accessToken, refreshToken, expiresIn }) {
  tokens = { accessToken, refreshToken, expiresAt: Date.now() + (expiresIn || 900) * 1000 };
  localStorage.setItem(KEY, JSON.stringify(tokens));
  hasEnded.value = false;
  signedIn.value = true;
}

export function forget() {
  tokens = null;
  localStorage.removeItem(KEY);
  user.value = null;
  signedIn.value = false;
}

// Who signed in here last; in a browser where nobody did, the platform's first user.
export const lastName = () => localStorage.getItem(NAME) || FIRST_NAME;
export const keepName = (name) => localStorage.setItem(NAME, name);

// The caller's role in the project that is looked at, if it is restricted and the role known; else null.
export const roleHere = signal(null);

const atLeast = (held, role) => ROLES.indexOf(held) >= ROLES.indexOf(role);
// True when the caller's role is at least this one, in the project that is looked at. The server decides; this only
// hides what it would refuse.
export const may = (role) => mayAnywhere(role) && (!roleHere.value || atLeast(roleHere.value, role));
// The same of the platform.
export const mayAnywhere = (role) => atLeast(user.value?.role, role);

window.addEventListener("storage", (event) => {
  if (event.key === KEY || event.key === null) {
    reread();
    if (!tokens) user.value = null;
  }
});
