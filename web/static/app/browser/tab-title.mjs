// What the tab is called: how much waits for the person, the thing that is open, its project, the product.
import { effect, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { inboxCount, inboxCountText } from "../state/inbox.mjs";
import { project } from "../state/projects.mjs";

const open = signal(null);

// Keeps the tab's name right until the function that it returns is called.
export const updateTabTitle = () =>
  effect(() => {
    const name = [open.value, project.value?.name, "AiWorker"].filter(Boolean).join(" · ");
    document.title = inboxCount.value ? `(${inboxCountText.value}) ${name}` : name;
  });

// While a view is open, the tab is named after what it shows; undefined: not known yet.
export function useTabTitle(name) {
  useEffect(() => {
    open.value = name || null;
    return () => {
      open.value = null;
    };
  }, [name]);
}
