// Which tasks of the board are selected, for acts on all of them.
import { signal } from "@preact/signals";

// Task ids.
export const selected = signal(new Set());

export function toggle(id) {
  const next = new Set(selected.value);
  if (!next.delete(id)) next.add(id);
  selected.value = next;
}

export function clear() {
  if (selected.value.size) selected.value = new Set();
}
