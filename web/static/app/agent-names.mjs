// What agents are called: whatever is on record knows them by their ids.
import { signal } from "@preact/signals";
import { signedIn } from "./session.mjs";

const names = signal(new Map());
const looked = new Set(); // ids for which the agents were read
let isReading = false;

async function read() {
  isReading = true;
  try {
    const { readAll } = await import("./loading.mjs");
    const agents = await readAll("/agents", "agents");
    names.value = new Map(agents.map(({ id, podName }) => [id, podName]));
  } catch {
    // The ids are shown; who shows one the next time asks again.
    looked.clear();
  } finally {
    isReading = false;
  }
}

export const isAgent = (actor) => /^agent-[0-9a-f]{12}$/.test(actor);

// The agent's name, or its id: until the agents are read, and for one that was removed.
export function agentName(id) {
  const name = names.value.get(id);
  if (name || looked.has(id)) return name || id;
  looked.add(id);
  if (!isReading) read();
  return id;
}

signedIn.subscribe((yes) => {
  if (yes) return;
  looked.clear();
  names.value = new Map();
});
