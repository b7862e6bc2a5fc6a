// A project's tasks in columns by state, moved by events, with the open task beside them.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { hasNoModifier, isTyping, newTaskProject, useKeyDown, useShortcutList } from "../../browser/keyboard.mjs";
import { replaceQuery, route, to } from "../../browser/routes.mjs";
import { toastError } from "../../browser/toasts.mjs";
import { Badge, Button, classNames, Empty, Icon, LoadError, Loading } from "../../components/controls.mjs";
import { Confirm } from "../../components/dialogs.mjs";
import { html } from "../../components/html.mjs";
import { lazy, NoPlaceholder } from "../../components/lazy.mjs";
import { api } from "../../server/api.mjs";
import { listen } from "../../server/live-events.mjs";
import { useInterval } from "../../server/loading.mjs";
import { hasRole } from "../../server/session.mjs";
import {
  applyTaskEvent,
  cardDetails,
  cursors,
  loadBoard,
  loadCards,
  loadMore,
  tasks,
  tasksError,
  unloadedCounts,
} from "../../state/board-tasks.mjs";
import { cancelSoon } from "../../state/delayed-cancel.mjs";
import { project, storeProject } from "../../state/projects.mjs";
import { mark, t, th } from "../../words/language.mjs";
import { serverText } from "../../words/server-texts.mjs";
import { TASK_STATES } from "../../words/states.mjs";
import { BY_URGENCY, labelOf, shownState, tone } from "../../words/words.mjs";
import { MissingDriver } from "../agents/missing-driver.mjs";
import { apiFilter, filterQuery, isFiltering } from "./address-filters.mjs";
import { draggedTask, mayMove, moveCard } from "./card-moves.mjs";
import { Card } from "./card.mjs";
import { NewTask } from "./new-task.mjs";
import { holdCards } from "./pointer-hold.mjs";
import { selectedTasks } from "./selected-tasks.mjs";

const BoardFilters = lazy(() => import("./board-filters.mjs"), "BoardFilters", NoPlaceholder);
const SelectionBar = lazy(() => import("./board-selection.mjs"), "SelectionBar", NoPlaceholder);
const SeveralNewTasks = lazy(() => import("./several-new-tasks.mjs"), "SeveralNewTasks", NoPlaceholder);
const TaskPanel = lazy(
  () => import("../task/task-panel.mjs"),
  "TaskPanel",
  ({ children }) => html`<aside class="panel" aria-label=${t("Task")}>${children}</aside>`,
);

// What is over and needs nobody is shown on request; what failed, whenever there is some.
const onBoard = (state, all, ended) => {
  if (state === "cancelled") return ended;
  return !["failed", "rolled_back"].includes(state) || all.some((task) => shownState(task) === state);
};
// What a rollback took back is beside production, which it is not in.
const FLOW = TASK_STATES.flatMap((state) => (state === "production" ? [state, "rolled_back"] : [state]));
// What needs a person comes first.
const NEEDY = ["needs_input", "ready_to_test", "failed"];
const COLUMNS = [...NEEDY, ...FLOW.filter((state) => !NEEDY.includes(state))];
// How often what agents do is read again.
const KEYS = [
  ["c", mark("New task")],
  ["Tab", mark("From card to card")],
  ["Enter", mark("Open the task")],
  ["x", mark("Select the card")],
];
const STEPS_MS = 20_000;
const rank = (task) => (cardDetails.value.get(task.id)?.question ? -1 : BY_URGENCY.indexOf(task.priority));
const inOrder = (a, b) => rank(a) - rank(b) || (a.id < b.id ? 1 : -1);

export function Board({ taskId }) {
  const { id: projectId } = project.value;
  const { query } = route.value;
  const filter = apiFilter(query);
  const wanted = JSON.stringify(filter);
  const [typed, setTyped] = useState(query.q || "");
  // null: the fields of the filter are shown while there is one.
  const [filtering, setFiltering] = useState(null);
  const isFiltered = isFiltering(query);
  const showsFilter = filtering ?? isFiltered;
  const hidden = showsFilter ? 0 : Object.keys(filterQuery(query)).length;
  const [ended, setEnded] = useState(false);
  const [several, setSeveral] = useState(false);
  const load = () => loadBoard(projectId, filter);
  const latest = useRef(load);
  latest.current = load;

  useEffect(() => {
    load();
  }, [projectId, wanted]);
  useEffect(
    () =>
      listen((message) => {
        if (message.event === "connected" || (message.event === "resync" && message.projectId === projectId))
          latest.current();
        else applyTaskEvent(message, () => latest.current());
      }),
    [projectId],
  );
  // What the search field last put into the address: anything else there came from a link, and goes into the field.
  const sent = useRef(query.q || "");
  useEffect(() => {
    if (typed.trim() === sent.current) return undefined;
    const timer = setTimeout(() => {
      sent.current = typed.trim();
      replaceQuery({ ...route.value.query, q: sent.current });
    }, 200);
    return () => clearTimeout(timer);
  }, [typed]);
  useEffect(() => {
    if ((query.q || "") === sent.current) return;
    sent.current = query.q || "";
    setTyped(sent.current);
  }, [query.q]);
  const isAtWork = () => [...(tasks.value?.values() || [])].some(({ state }) => state === "in_progress");
  useInterval(STEPS_MS, () => isAtWork() && loadCards().catch(() => {}));
  useShortcutList(KEYS);
  useKeyDown((event) => {
    if (event.key !== "c" || !hasNoModifier(event) || isTyping(event) || !hasRole("member")) return;
    event.preventDefault();
    newTaskProject.value = projectId;
  });
  useEffect(
    () => () => {
      if (newTaskProject.value === projectId) newTaskProject.value = null;
    },
    [],
  );

  return html`<div class=${`work ${taskId ? "has-panel" : ""}`}>
    <main class="board-page" id="main">
      <header class="page-head">
        <div class="title-line">
          <h1>${project.value.name}</h1>
          ${project.value.status !== "active" && html`<${Badge} word=${project.value.status} />`}
        </div>
        <div class="actions">
          <label class="search">
            <${Icon} name="search" />
            <span class="sr">${t("Search tasks")}</span>
            <input
              type="search"
              placeholder=${t("Search /")}
              value=${typed}
              data-testid="task-search"
              onInput=${(event) => setTyped(event.target.value)}
              onKeyDown=${(event) => event.key === "Escape" && event.target.blur()}
            />
          </label>
          <button
            type="button"
            class="button"
            aria-expanded=${showsFilter}
            onClick=${() => setFiltering(showsFilter ? (isFiltered ? false : null) : true)}
            data-testid="board-filter"
          >
            ${t("Filter")}${hidden > 0 && ` (${hidden})`}
          </button>
          <button
            type="button"
            class="button"
            aria-pressed=${ended}
            onClick=${() => setEnded(!ended)}
            data-testid="board-ended"
          >
            ${t("Cancelled")}
          </button>
          ${
            hasRole("member") &&
            html`<button
                type="button"
                class="button"
                data-testid="tasks-new"
                title=${t("Several tasks, one on each line")}
                onClick=${() => setSeveral(true)}
              >
                ${t("Several")}
              </button>
              <button
              type="button"
              class="button primary"
              data-testid="task-new"
              title=${t("New task (c)")}
              onClick=${() => (newTaskProject.value = projectId)}
            >
              <${Icon} name="plus" />${t("New task")}
            </button>`
          }
        </div>
      </header>
      ${showsFilter && html`<${BoardFilters} projectId=${projectId} close=${() => setFiltering(false)} />`}
      <${Provisioning} />
      <${MissingDriver} />
      ${
        tasksError.value && !tasks.value
          ? html`<${LoadError} error=${tasksError.value} again=${load} />`
          : tasks.value
            ? html`<${Columns} ended=${ended} taskId=${taskId} query=${query} />`
            : html`<${Loading} />`
      }
    </main>
    ${selectedTasks.value.size > 0 && html`<${SelectionBar} />`}
    ${several && html`<${SeveralNewTasks} close=${() => setSeveral(false)} />`}
    ${taskId && html`<${TaskPanel} key=${taskId} id=${taskId} />`}
    ${newTaskProject.value === projectId && html`<${NewTask} close=${() => (newTaskProject.value = null)} />`}
  </div>`;
}

function Provisioning() {
  const { id, status, error, importUrl } = project.value;
  if (status === "provisioning")
    return html`<p class="banner busy">
      <span class="pulse"></span>${t(
        "Its repository and environments are being made. " +
          "Tasks can be written already; agents start when it is ready.",
      )}
    </p>`;
  if (status === "deleting") return html`<p class="banner bad">${t("This project is being deleted.")}</p>`;
  if (status === "active" && error)
    return html`<p class="banner bad" data-testid="project-error">
      ${t("In this project {error}", { error: serverText(error) })}
    </p>`;
  if (status !== "failed") return null;
  const retry = async () => storeProject((await api.post(`/projects/${id}/retry`)).project);
  return html`<div class="banner bad">
    <span>
      ${
        error
          ? t("This project could not be set up: {error}", { error: serverText(error) })
          : t("This project could not be set up.")
      }
      ${
        importUrl &&
        hasRole("maintainer") &&
        html` ${th("If {url} is the wrong address, delete the project in {settings} and import the right one.", {
          url: html`<code>${importUrl}</code>`,
          settings: html`<a href=${to.settings(id)}>${t("its settings")}</a>`,
        })}`
      }
    </span>
    ${hasRole("maintainer") && html`<${Button} small act=${retry} testid="project-retry">${t("Try again")}<//>`}
  </div>`;
}

function Columns({ ended, taskId, query }) {
  const all = [...tasks.value.values()];
  const isWanted = (state) => (query.state ? state === query.state : onBoard(state, all, ended));
  const states = COLUMNS.filter(isWanted);
  const filtered = isFiltering(query);
  // The panel makes the board narrower, and a board that is come back to begins at its top.
  useLayoutEffect(() => {
    document.querySelector(".card.on")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [taskId]);
  if (!all.some((task) => states.includes(shownState(task)))) {
    const cancelled = filtered ? t("All that match are cancelled") : t("All tasks are cancelled");
    const hidden = all.length > 0 && !query.state;
    const nothing = hidden ? cancelled : filtered ? t("No task matches") : t("No tasks yet");
    return html`
      <div class="board sr-board">
        ${states.map(
          (state) =>
            html`<section
              key=${state}
              class="column"
              data-testid=${`board-column-${state}`}
              aria-label=${labelOf(state)}
            ></section>`,
        )}
      </div>
      <${Empty} title=${nothing}>
        ${
          hidden
            ? th("{button}, above, shows them.", { button: html`<b>${t("Cancelled")}</b>` })
            : filtered
              ? query.q
                ? t("Nothing in this project contains “{q}”.", { q: query.q })
                : t("No task of this project has what the filter wants.")
              : hasRole("member")
                ? th(
                    "Describe something to build or fix with {button}, or press {key}. " +
                      "A free agent takes it up, and it moves along this board by itself.",
                    { button: html`<b>${t("New task")}</b>`, key: html`<kbd>c</kbd>` },
                  )
                : t("Members of this project can write tasks; they show up here.")
        }
      <//>
    `;
  }
  return html`<div class="board" onPointerDown=${holdCards}>
    ${states.map(
      (state) =>
        html`<${Column}
          key=${state}
          state=${state}
          taskId=${taskId}
          tasks=${all.filter((task) => shownState(task) === state).sort(inOrder)}
        />`,
    )}
  </div>`;
}

function Column({ state, tasks: some, taskId }) {
  const more = unloadedCounts.value[state];
  const [cancelling, setCancelling] = useState(null);
  const open = mayMove(draggedTask.value, state);
  const drop = (event) => {
    const task = draggedTask.value;
    if (!mayMove(task, state)) return;
    event.preventDefault();
    draggedTask.value = null;
    if (state === "cancelled") setCancelling(task);
    else moveCard(task, state).catch(toastError);
  };
  return html`<section
    class=${classNames("column", !some.length && "none", open && "open")}
    onDragOver=${(event) => open && event.preventDefault()}
    onDrop=${drop}
    data-testid=${`board-column-${state}`}
    aria-label=${labelOf(state)}
  >
    <h2>
      <i class=${`state-dot ${tone(state)} ${state}`}></i>
      ${labelOf(state)}
      <span class="count">${some.length + (more?.count || 0)}${more?.isCapped ? "+" : ""}</span>
    </h2>
    <div class="cards">
      ${some.map((task) => html`<${Card} key=${task.id} task=${task} on=${task.id === taskId} />`)}
      ${
        cursors.value[state] &&
        html`<${Button} kind="more" act=${() => loadMore(state)} testid="load-more">${t("Load more")}<//>`
      }
    </div>
    ${
      cancelling &&
      html`<${Confirm}
        title=${t("Cancel “{title}”?", { title: cancelling.title })}
        verb=${t("Cancel task")}
        testid="drop-cancel-confirm"
        act=${async () => cancelSoon([cancelling])}
        close=${() => setCancelling(null)}
      >
        ${t("Its agent stops and its preview goes. The branch stays. A cancelled task can't be taken up again.")}
      <//>`
    }
  </section>`;
}
