// What people and agents are called: whatever is on record knows agents by their ids.
import { signal } from "@preact/signals";
import { readAll } from "../server/loading.mjs";
import { onSignedOut } from "../server/session.mjs";
import { mark, t } from "../words/language.mjs";
import { shortId } from "../words/words.mjs";

const names = signal(new Map());
const lookedUpIds = new Set(); // ids for which the agents were read
let isReading = false;

async function read() {
  isReading = true;
  try {
    const agents = await readAll("/agents", "agents");
    names.value = new Map(agents.map(({ id, podName }) => [id, podName]));
  } catch {
    // The ids are shown; who shows one the next time asks again.
    lookedUpIds.clear();
  } finally {
    isReading = false;
  }
}

export const isAgent = (actor) => /^agent-[0-9a-f]{12}$/.test(actor);

// The agent's name, or its id: until the agents are read, and for one that was removed.
export function agentName(id) {
  const name = names.value.get(id);
  if (name || lookedUpIds.has(id)) return name || id;
  lookedUpIds.add(id);
  if (!isReading) read();
  return id;
}

// Who acts without being a user: nobody may have these names.
const NO_USERS = { platform: mark("the platform"), operator: mark("the operator") };

export function actorName(actor) {
  if (!actor) return t("the platform");
  if (Object.hasOwn(NO_USERS, actor)) return t(NO_USERS[actor]);
  if (typeof actor === "object") return actor.username || actor.name || actor.id || t("the platform");
  const name = actor.startsWith("agent:") ? actor.slice("agent:".length) : actor;
  if (isAgent(name)) return agentName(name);
  return /^[0-9a-f]{8}-/.test(name) ? shortId(name) : name;
}

onSignedOut(() => {
  lookedUpIds.clear();
  names.value = new Map();
});
