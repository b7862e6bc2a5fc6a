// The tasks that a task waits for, to be ticked.
import { html } from "../components/html.mjs";
import { useRead } from "../server/loading.mjs";
import { tasks } from "../state/board-tasks.mjs";
import { t } from "../words/language.mjs";
import { shortId } from "../words/words.mjs";
import { Field } from "./fields.mjs";

const MOST_OTHERS = 200;
export const isCancelled = ({ state }) => state === "cancelled";

// The tasks to choose from, [{id, title, state}]; of one that is not known here: {id, title}.
// chosen: the ids of those that are ticked. asks: read those, too, that the board does not show. except: the id of the
// task itself. stored: the ids of those that it waits for so far, which may be ticked again.
export function useOtherTasks({ projectId, chosen, asks, except, stored = [] }) {
  // The board may show fewer, by its filter or as columns are long.
  const { value } = useRead(asks ? "/tasks" : null, { projectId, limit: MOST_OTHERS });
  const known = new Map([...(value?.tasks || []), ...(tasks.value?.values() || [])].map((task) => [task.id, task]));
  known.delete(except);
  // What is ticked stays, also what is not known here any more or cancelled: that one has to be taken out.
  const kept = new Set([...chosen, ...stored]);
  const others = [...known.values()].filter((task) => !isCancelled(task) || kept.has(task.id));
  const away = [...kept].filter((id) => !known.has(id)).map((id) => ({ id, title: shortId(id) }));
  return [...others, ...away];
}

// change: a function of the ids that are ticked then. error: what is wrong with them; null: nothing.
export function DependsOn({ others, chosen, change, error }) {
  if (!others.length) return null;
  const toggle = (id, yes) => change(yes ? [...chosen, id] : chosen.filter((one) => one !== id));
  return html`<${Field}
    label=${t("Depends on")}
    hint=${t("It waits until these are approved.")}
    error=${error}
    control=${(id, said) =>
      html`<div class="choices" id=${id} ...${said} role="group" aria-label=${t("Depends on")}>
        ${others.map(
          (task) =>
            html`<label key=${task.id} class="check">
              <input
                type="checkbox"
                checked=${chosen.includes(task.id)}
                onChange=${(event) => toggle(task.id, event.target.checked)}
              />
              <span>${task.title}${isCancelled(task) && ` · ${t("Cancelled")}`}</span>
            </label>`,
        )}
      </div>`}
  />`;
}
