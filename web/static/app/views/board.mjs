// A project's tasks in columns by state, moved by events, with the open task beside them.
import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../api.mjs";
import { html } from "../html.mjs";
import { listen } from "../live.mjs";
import { Badge, Button, Empty, Icon, Loading, SentBack, Time, Trouble } from "../parts/controls.mjs";
import { lazy } from "../parts/lazy.mjs";
import { isParked, ParkedChip } from "../parts/parked.mjs";
import { Priority } from "../parts/priority.mjs";
import { keepProject, project } from "../projects.mjs";
import { to } from "../routes.mjs";
import { may } from "../session.mjs";
import { TASK_STATES } from "../states.mjs";
import { cursors, further, heardOfTask, loadBoard, loadMore, tasks, trouble } from "../tasks.mjs";
import { brief, BY_URGENCY, say, shortened, shortId, shownState, tone } from "../words.mjs";
import { FirstUse } from "./first-use.mjs";
import { NewTask } from "./new-task.mjs";

const TaskPanel = lazy(
  () => import("./task.mjs"),
  "TaskPanel",
  ({ children }) => html`<aside class="panel" aria-label="Task">${children}</aside>`,
);

// What is over and needs nobody is shown on request; what failed, whenever there is some.
const onBoard = (state, all, ended) => {
  if (state === "cancelled") return ended;
  return !["failed", "rolled_back"].includes(state) || all.some((task) => shownState(task) === state);
};
// What a rollback took back is beside production, which it is not in.
const COLUMNS = TASK_STATES.flatMap((state) => (state === "production" ? [state, "rolled_back"] : [state]));
const MOST_REASON = 200;
// Waits for something that its error names.
const isKept = (task) => task.error && !isParked(task) && (task.state === "backlog" || task.phase === "queued");
const rank = (task) => BY_URGENCY.indexOf(task.priority);
const inOrder = (a, b) => rank(a) - rank(b) || (a.id < b.id ? 1 : -1);

export function Board({ taskId }) {
  const { id: projectId } = project.value;
  const [q, setQ] = useState("");
  const [typed, setTyped] = useState("");
  const [ended, setEnded] = useState(false);
  const [writing, setWriting] = useState(false);
  const load = () => loadBoard(projectId, q, TASK_STATES);
  const latest = useRef(load);
  latest.current = load;

  useEffect(() => {
    load();
  }, [projectId, q]);
  useEffect(
    () =>
      listen((message) => {
        if (message.event === "connected" || (message.event === "resync" && message.projectId === projectId))
          latest.current();
        else heardOfTask(message, () => latest.current());
      }),
    [projectId],
  );
  useEffect(() => {
    const timer = setTimeout(() => setQ(typed.trim()), 200);
    return () => clearTimeout(timer);
  }, [typed]);
  useEffect(() => {
    const pressed = (event) => {
      if (event.key !== "c" || event.ctrlKey || event.metaKey || event.altKey || !may("member")) return;
      if (!event.target.closest("input,textarea,select,dialog")) {
        event.preventDefault();
        setWriting(true);
      }
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);

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
            <span class="sr">Search tasks</span>
            <input
              type="search"
              placeholder="Search  /"
              value=${typed}
              data-testid="task-search"
              onInput=${(event) => setTyped(event.target.value)}
              onKeyDown=${(event) => event.key === "Escape" && event.target.blur()}
            />
          </label>
          <button
            type="button"
            class="button"
            aria-pressed=${ended}
            onClick=${() => setEnded(!ended)}
            data-testid="board-ended"
          >
            Cancelled
          </button>
          ${
            may("member") &&
            html`<button
              type="button"
              class="button primary"
              data-testid="task-new"
              title="New task (c)"
              onClick=${() => setWriting(true)}
            >
              <${Icon} name="plus" />New task
            </button>`
          }
        </div>
      </header>
      <${Provisioning} />
      <${FirstUse} />
      ${
        trouble.value && !tasks.value
          ? html`<${Trouble} error=${trouble.value} again=${load} />`
          : tasks.value
            ? html`<${Columns} ended=${ended} taskId=${taskId} q=${q} />`
            : html`<${Loading} />`
      }
    </main>
    ${taskId && html`<${TaskPanel} key=${taskId} id=${taskId} />`}
    ${writing && html`<${NewTask} close=${() => setWriting(false)} />`}
  </div>`;
}

function Provisioning() {
  const { id, status, error } = project.value;
  if (status === "provisioning")
    return html`<p class="banner busy">
      <span class="pulse"></span>Its repository and environments are being made. Tasks can be written already; agents
      start when it is ready.
    </p>`;
  if (status === "deleting") return html`<p class="banner bad">This project is being deleted.</p>`;
  if (status === "active" && error)
    return html`<p class="banner bad" data-testid="project-error">In this project ${error}</p>`;
  if (status !== "failed") return null;
  const retry = async () => keepProject((await api.post(`/projects/${id}/retry`)).project);
  return html`<div class="banner bad">
    <span>This project could not be set up${error ? `: ${error}` : "."}</span>
    ${may("maintainer") && html`<${Button} small act=${retry} testid="project-retry">Try again<//>`}
  </div>`;
}

function Columns({ ended, taskId, q }) {
  const all = [...tasks.value.values()];
  const states = COLUMNS.filter((state) => onBoard(state, all, ended));
  if (!all.some((task) => states.includes(shownState(task)))) {
    const cancelled = q ? "All that match are cancelled" : "All tasks are cancelled";
    const nothing = all.length ? cancelled : q ? "No task matches" : "No tasks yet";
    return html`
      <div class="board sr-board">
        ${states.map(
          (state) =>
            html`<section
              key=${state}
              class="column"
              data-testid=${`board-column-${state}`}
              aria-label=${say(state)}
            ></section>`,
        )}
      </div>
      <${Empty} title=${nothing}>
        ${
          all.length
            ? html`<b>Cancelled</b>, above, shows them.`
            : q
              ? `Nothing in this project contains “${q}”.`
              : may("member")
                ? html`
                Describe something to build or fix with <b>New task</b>, or press <kbd>c</kbd>. A free agent takes it
                up, and it moves along this board by itself.
              `
                : "Members of this project can write tasks; they show up here."
        }
      <//>
    `;
  }
  return html`<div class="board">
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
  const more = further.value[state];
  return html`<section
    class=${`column ${some.length ? "" : "none"}`}
    data-testid=${`board-column-${state}`}
    aria-label=${say(state)}
  >
    <h2>
      <i class=${`state-dot ${tone(state)} ${state}`}></i>
      ${say(state)}
      <span class="count">${some.length + (more?.count || 0)}${more?.isCapped ? "+" : ""}</span>
    </h2>
    <div class="cards">
      ${some.map((task) => html`<${Card} key=${task.id} task=${task} on=${task.id === taskId} />`)}
      ${
        cursors.value[state] &&
        html`<${Button} kind="more" act=${() => loadMore(state)} testid="load-more">Load more<//>`
      }
    </div>
  </section>`;
}

function Card({ task, on }) {
  const busy = task.state === "in_progress";
  return html`<a
    class=${`card ${on ? "on" : ""}`}
    href=${to.task(task.projectId, task.id)}
    data-testid="task-card"
    data-task-id=${task.id}
    aria-current=${on ? "true" : undefined}
  >
    <span class="card-top"><span>${shortId(task.id)}</span><${Time} at=${task.createdAt} /></span>
    <span class="card-title">${task.title}</span>
    ${
      task.state === "failed" &&
      task.error &&
      html`<span class="bad-text" title=${task.error}>${shortened(brief(task.error), MOST_REASON)}</span>`
    }
    ${
      isKept(task) &&
      html`<span class="muted" title=${task.error} data-testid="card-waits">
        ${shortened(brief(task.error), MOST_REASON)}
      </span>`
    }
    <span class="card-meta">
      <${Priority} of=${task.priority} />
      ${isParked(task) && html`<${ParkedChip} of=${task.parked} testid="card-parked" />`}
      ${
        busy &&
        task.phase &&
        !isParked(task) &&
        html`<span class=${`chip ${task.phase === "queued" ? "" : "busy"}`}>${say(task.phase)}</span>`
      }
      <${SentBack} round=${task.round} />
      ${(task.labels || []).slice(0, 3).map((label) => html`<span key=${label} class="chip label">${label}</span>`)}
      ${
        task.assignedAgentId &&
        html`<span class="chip agent" title=${task.assignedAgentId}>
          <${Icon} name="agent" />
          ${shortId(task.assignedAgentId).slice(-4)}
        </span>`
      }
    </span>
  </a>`;
}
