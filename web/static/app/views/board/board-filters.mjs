// What the board shows: kept in the address, so that it can be sent to somebody, and under a name in this browser.
import { useState } from "preact/hooks";
import { replaceQuery, route, to, withQuery } from "../../browser/routes.mjs";
import { toastUndoable } from "../../browser/toasts.mjs";
import { Icon } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { agentName } from "../../state/actors.mjs";
import { tasks } from "../../state/board-tasks.mjs";
import { t } from "../../words/language.mjs";
import { TASK_STATES } from "../../words/states.mjs";
import { BY_URGENCY, labelOf } from "../../words/words.mjs";
import { filterQuery, isFiltering } from "./address-filters.mjs";
import { deleteFilter, savedFilters, saveFilter } from "./saved-filters.mjs";

const change = (name, value) => replaceQuery({ ...route.value.query, [name]: value });

export function BoardFilters({ projectId }) {
  const { query } = route.value;
  const [name, setName] = useState("");
  const all = [...(tasks.value?.values() || [])];
  const labels = [...new Set(all.flatMap((task) => task.labels || []))].sort();
  const agents = [...new Set([query.agent, ...all.map((task) => task.assignedAgentId)])].filter(Boolean);
  const saved = savedFilters(projectId);
  const save = (event) => {
    event.preventDefault();
    if (!name.trim()) return;
    saveFilter(projectId, name.trim(), filterQuery(query));
    setName("");
  };
  const forget = ({ name: gone, query: kept }) => {
    deleteFilter(projectId, gone);
    toastUndoable(t("The view {name} is forgotten.", { name: gone }), () => saveFilter(projectId, gone, kept));
  };
  return html`<div class="filters" role="group" aria-label=${t("Filter")} data-testid="board-filters">
    <${Label} labels=${labels} />
    <${Choose}
      name="priority"
      label=${t("Priority")}
      any=${t("Any priority")}
      options=${BY_URGENCY.map((one) => [one, labelOf(one)])}
    />
    <${Choose}
      name="state"
      label=${t("State")}
      any=${t("Any state")}
      options=${TASK_STATES.map((one) => [one, labelOf(one)])}
    />
    <${Choose}
      name="agent"
      label=${t("Agent")}
      any=${t("Any agent")}
      options=${agents.map((one) => [one, agentName(one)])}
    />
    <label class="check">
      <input
        type="checkbox"
        checked=${Boolean(query.mine)}
        data-testid="filter-mine"
        onChange=${(event) => change("mine", event.target.checked ? "true" : "")}
      />
      <span>${t("Mine")}</span>
    </label>
    ${
      isFiltering(query) &&
      html`<button type="button" class="button ghost" data-testid="filter-clear" onClick=${() => replaceQuery({})}>
          ${t("Clear")}
        </button>
        <form onSubmit=${save}>
          <label>
            <span class="sr">${t("Name of this view")}</span>
            <input
              placeholder=${t("Save as…")}
              maxlength="40"
              value=${name}
              data-testid="view-name"
              onInput=${(event) => setName(event.target.value)}
            />
          </label>
        </form>`
    }
    ${saved.map(
      (view) =>
        html`<span key=${view.name} class="chip view">
          <a href=${withQuery(to.project(projectId), view.query)} data-testid="saved-view">${view.name}</a>
          <button
            type="button"
            class="button ghost"
            aria-label=${t("Forget the view {name}", { name: view.name })}
            onClick=${() => forget(view)}
          >
            <${Icon} name="close" />
          </button>
        </span>`,
    )}
  </div>`;
}

// labels: those to choose from; any other text may be typed, too. It counts once the field is left or Enter is pressed.
function Label({ labels }) {
  const { label = "" } = route.value.query;
  // What is being typed; null: nothing.
  const [typed, setTyped] = useState(null);
  return html`<label>
    <span class="sr">${t("Label")}</span>
    <input
      list="filter-labels"
      placeholder=${t("Label")}
      value=${typed ?? label}
      data-testid="filter-label"
      onInput=${(event) => setTyped(event.target.value)}
      onChange=${(event) => change("label", event.target.value.trim())}
      onBlur=${() => setTyped(null)}
    />
    <datalist id="filter-labels">${labels.map((one) => html`<option key=${one} value=${one}></option>`)}</datalist>
  </label>`;
}

const Choose = ({ name, label, any, options }) => {
  const value = route.value.query[name] || "";
  return html`<select
    aria-label=${label}
    value=${value}
    data-testid=${`filter-${name}`}
    onChange=${(event) => change(name, event.target.value)}
  >
    <option value="">${any}</option>
    ${options.map(([one, text]) => html`<option key=${one} value=${one} selected=${one === value}>${text}</option>`)}
  </select>`;
};
