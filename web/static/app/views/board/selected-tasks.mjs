// Which tasks of the board are selected, for acts on all of them.
import { signal } from "@preact/signals";

// Task ids.
export const selectedTasks = signal(new Set());

export function toggleSelected(id) {
  const next = new Set(selectedTasks.value);
  if (!next.delete(id)) next.add(id);
  selectedTasks.value = next;
}

export function clearSelection() {
  if (selectedTasks.value.size) selectedTasks.value = new Set();
}
