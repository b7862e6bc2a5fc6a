// Who is signed in. No other module reads the tokens where they are kept.
import { signal } from "@preact/signals";
import { readJson } from "../browser/storage.mjs";
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
export const sessionExpired = signal(false);
// How many calls were refused with a 403: the caller's role may be another one than it was.
export const refusedCalls = signal(0);

function read() {
  const kept = readJson(localStorage, KEY);
  return kept?.accessToken && kept.refreshToken ? kept : null;
}

export const currentTokens = () => tokens;

// Reads what another tab may have kept since: it may have rotated the refresh token.
export function rereadTokens() {
  tokens = read();
  signedIn.value = tokens !== null;
  return tokens;
}

export function storeTokens({ accessToken, refreshToken, expiresIn }) {
  tokens = { accessToken, refreshToken, expiresAt: Date.now() + (expiresIn || 900) * 1000 };
  localStorage.setItem(KEY, JSON.stringify(tokens));
  sessionExpired.value = false;
  signedIn.value = true;
}

export function clearTokens() {
  tokens = null;
  localStorage.removeItem(KEY);
  user.value = null;
  signedIn.value = false;
}

// Who signed in here last; in a browser where nobody did, the platform's first user.
export const lastUsername = () => localStorage.getItem(NAME) || FIRST_NAME;
export const storeUsername = (name) => localStorage.setItem(NAME, name);

// The caller's role in the project that is looked at, if it is restricted and the role known; else null.
export const projectRole = signal(null);

const atLeast = (held, role) => ROLES.indexOf(held) >= ROLES.indexOf(role);
// True when the caller's role is at least this one, in the project that is looked at. The server decides; this only
// hides what it would refuse.
export const hasRole = (role) => hasPlatformRole(role) && (!projectRole.value || atLeast(projectRole.value, role));
// The same of the platform.
export const hasPlatformRole = (role) => atLeast(user.value?.role, role);

// Calls `act` whenever nobody is signed in any more, and at once if nobody is.
export const onSignedOut = (act) => void signedIn.subscribe((yes) => yes || act());

window.addEventListener("storage", (event) => {
  if (event.key === KEY || event.key === null) {
    rereadTokens();
    if (!tokens) user.value = null;
  }
});
