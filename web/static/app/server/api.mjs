// The only way to the REST API: Bearer token, one refresh on 401, errors as sentences.
import { deleteDrafts } from "../browser/drafts.mjs";
import { t } from "../words/language.mjs";
import { loadServerTexts, serverField, serverText } from "../words/server-texts.mjs";
import { clearTokens, currentTokens, refusedCalls, rereadTokens, sessionExpired, storeTokens } from "./session.mjs";

// What a failed call throws. `message` is for a person, `status` 0 means that the server wasn't reached,
// `retryAfter` is in seconds, null where the server asked for none.
class ApiError extends Error {
  constructor(status, message, field = null, retryAfter = null) {
    super(message);
    this.status = status;
    this.field = field;
    this.retryAfter = retryAfter;
  }
}

function errorMessage(status, body, headers) {
  const details = body?.details;
  const again = headers.get("Retry-After");
  if (status === 400 && details?.field) {
    const faults = body.errors?.length ? body.errors : [details];
    return faults.map((fault) => `${serverField(fault.field)}: ${serverText(fault.message)}`).join(" · ");
  }
  if (details?.message) return serverText(details.message);
  if (status === 403) return t("Your role doesn't allow this.");
  if (status === 404) return t("There is no such thing, or you may not see it.");
  if (status === 413) return t("That is too large.");
  if (status === 429)
    return again
      ? t("Too many requests. Try again in {seconds} s.", { seconds: again })
      : t("Too many requests. Try again shortly.");
  if (status === 503)
    return again
      ? t("The server can't answer this now. Try again in {seconds} s.", { seconds: again })
      : t("The server can't answer this now. Try again shortly.");
  if (status >= 500)
    return body?.requestId ? t("The server failed (request {id}).", { id: body.requestId }) : t("The server failed.");
  return serverText(body?.error) || t("The server answered {status}.", { status });
}

// raw: a Blob that is the body; asBlob: the reply's content as a Blob, whatever it is. keepalive: the call outlasts the
// page.
async function send(method, path, { body, raw, asBlob, query, key, token, keepalive } = {}) {
  const url = new URL(`/api${path}`, location.origin);
  for (const [name, value] of Object.entries(query || {})) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  const headers = { Accept: "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (raw) headers["Content-Type"] = raw.type || "application/octet-stream";
  if (key) headers["Idempotency-Key"] = key;
  let reply;
  try {
    reply = await fetch(url, {
      method,
      headers,
      body: raw ?? (body === undefined ? undefined : JSON.stringify(body)),
      cache: "no-store",
      keepalive,
    });
  } catch {
    throw new ApiError(0, t("The server can't be reached. Check that it is running and try again."));
  }
  if (reply.ok) for (const one of unsureActions.values()) one.heardAt ??= Date.now();
  if (reply.ok && asBlob) return reply.blob();
  const text = await reply.text();
  let json = null;
  try {
    json = text ? JSON.parse(text) : null;
  } catch {
    // A proxy's page, say: the status alone speaks then.
  }
  if (reply.ok) return json;
  if (reply.status === 403) refusedCalls.value += 1;
  const again = reply.headers.get("Retry-After");
  if (json) await loadServerTexts();
  const message = errorMessage(reply.status, json, reply.headers);
  throw new ApiError(reply.status, message, json?.details?.field ?? null, again === null ? null : Number(again));
}

// Calls `act`, which reads again what failed with this error, where that may go well: when the server says, or soon.
export function retryLater({ status, retryAfter }, act) {
  if (status === 0 || status === 429 || status >= 500) setTimeout(act, 1000 * (retryAfter ?? 5));
}

// Refreshing rotates the token, so two tabs must not do it at once: the second would show a used one.
// Where there are no locks, what takes their place is loaded at once: a server that was renewed has other files.
const noTabLock = { oneTabAtATime: (act) => act() };
const tabLock = navigator.locks ? null : import("./tab-lock.mjs").catch(() => noTabLock);
const oneTabOnly = (act) =>
  navigator.locks?.request("aiworker-refresh", act) ?? tabLock.then(({ oneTabAtATime }) => oneTabAtATime(act));
let refreshing = null;
const sessionEnded = () => new ApiError(401, t("Your session has ended. Please sign in again."));

// Replaces the access token `stale`. Throws ApiError 401, signed out, when the session is over.
export function refresh(stale) {
  refreshing ??= oneTabOnly(async () => {
    const kept = rereadTokens();
    if (!kept) throw sessionEnded();
    if (kept.accessToken !== stale) return;
    try {
      storeTokens(await send("POST", "/auth/refresh", { body: { refreshToken: kept.refreshToken } }));
    } catch (error) {
      if (error.status === 401 || error.status === 400) {
        clearTokens();
        sessionExpired.value = true;
        throw sessionEnded();
      }
      throw error;
    }
  }).finally(() => {
    refreshing = null;
  });
  return refreshing;
}

// Posts what ends the present login and gives a new one. What would refresh the old one meanwhile waits for the reply.
export async function replaceLogin(path, body) {
  while (refreshing) await refreshing.catch(() => {});
  const held = currentTokens();
  if (!held) throw sessionEnded();
  if (held.expiresAt < Date.now() + 10_000) await refresh(held.accessToken);
  const replaced = oneTabOnly(async () =>
    storeTokens(await send("POST", path, { body, token: rereadTokens()?.accessToken })),
  );
  refreshing = replaced
    .catch(() => {})
    .finally(() => {
      refreshing = null;
    });
  return replaced;
}

async function call(method, path, options = {}) {
  const token = currentTokens()?.accessToken;
  try {
    return await send(method, path, { ...options, token });
  } catch (error) {
    if (error.status !== 401 || !token) throw error;
    await refresh(token);
    return send(method, path, { ...options, token: currentTokens()?.accessToken });
  }
}

// crypto.randomUUID is missing on plain http from another machine.
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// These routes take no Idempotency-Key: what is sent or replied holds a secret.
const KEYLESS = /^\/(auth|tokens|users|agents\/enrolment-tokens|model-providers)(\/|$)/;

const TRIES = 3;
const LONGEST_WAIT_SECONDS = 10;

// What may have taken effect though no answer said so, as act → {key, heardAt}: sent again by hand it is still the same
// act. A quarter of an hour after the server answers again people have seen what became of it, and it is a new one.
// heardAt: when the server first answered after that, null: not yet.
const unsureActions = new Map();
const SAME_ACTION_MS = 15 * 60_000;

function keyOf(act) {
  const { key, heardAt } = unsureActions.get(act) ?? {};
  return key && (heardAt === null || Date.now() < heardAt + SAME_ACTION_MS) ? key : newKey();
}

// The server's own word that it can't tell yet what became of the first request with this key.
const isUnderWay = ({ status, field }) => status === 409 && field === "Idempotency-Key";

// Whether the act may have taken effect, by this request or an earlier one with its key. The answer may have been lost
// after the effect (0, or a proxy's 5xx), or the answer to COMMIT (503). 401 and 429 are said before the key is read.
const isUnsure = (error) =>
  error.status === 0 || error.status >= 500 || [401, 429].includes(error.status) || isUnderWay(error);

// What is sent again by itself, as another answer is likely.
const isTemporary = (error) => error.status === 0 || error.status === 503 || isUnderWay(error);

async function post(path, body = {}, { keepalive } = {}) {
  if (KEYLESS.test(path)) return call("POST", path, { body });
  const act = `${path} ${JSON.stringify(body)}`;
  const key = keyOf(act);
  for (let left = TRIES - 1; ; left -= 1) {
    try {
      const reply = await call("POST", path, { body, key, keepalive });
      unsureActions.delete(act);
      return reply;
    } catch (error) {
      if (isUnsure(error)) unsureActions.set(act, { key, heardAt: null });
      else unsureActions.delete(act);
      if (!left || !isTemporary(error)) throw error;
      const seconds = Math.min(error.retryAfter ?? 0.8, LONGEST_WAIT_SECONDS);
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    }
  }
}

export const api = {
  get: (path, query) => call("GET", path, { query }),
  post,
  patch: (path, body) => call("PATCH", path, { body }),
  put: (path, body) => call("PUT", path, { body }),
  remove: (path) => call("DELETE", path),
  // One try: a large file is not sent again by itself.
  upload: (path, file, query) => call("POST", path, { raw: file, query, key: newKey() }),
  blob: (path, query) => call("GET", path, { query, asBlob: true }),
};

export async function signIn(username, password) {
  let reply;
  try {
    reply = await send("POST", "/auth/login", { body: { username, password } });
  } catch (error) {
    if (error.status !== 401) throw error;
    throw new ApiError(401, t("The username or the password is wrong."));
  }
  storeTokens(reply);
  return reply.user;
}

// What has to be sent before somebody signs out: async functions that throw nothing.
export const beforeSignOut = new Set();

export async function signOut() {
  await Promise.all([...beforeSignOut].map((act) => act()));
  const kept = currentTokens();
  try {
    if (kept) await send("POST", "/auth/logout", { token: kept.accessToken });
  } catch {
    // Signing out here must work without the server; its token ends by itself.
  }
  deleteDrafts();
  clearTokens();
}
