// What the tab is called: the thing that is open, its project, the product.
import { effect, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { project } from "./projects.mjs";

const open = signal(null);

effect(() => {
  document.title = [open.value, project.value?.name, "AiWorker"].filter(Boolean).join(" · ");
});

// While a view is open, the tab is named after what it shows; undefined: not known yet.
export function useTitle(name) {
  useEffect(() => {
    open.value = name || null;
    return () => {
      open.value = null;
    };
  }, [name]);
}
