// A project's tasks in columns by state, moved by events, with the open task beside them.
import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../api.mjs";
import { html } from "../html.mjs";
import { listen } from "../live.mjs";
import { Badge, Button, Empty, Icon, Loading, Time, Trouble } from "../parts/controls.mjs";
import { lazy } from "../parts/lazy.mjs";
import { isParked, ParkedChip } from "../parts/parked.mjs";
import { Priority } from "../parts/priority.mjs";
import { keepProject, project } from "../projects.mjs";
import { to } from "../routes.mjs";
import { may } from "../session.mjs";
import { TASK_STATES } from "../states.mjs";
import { cursors, heardOfTask, loadBoard, loadMore, tasks, trouble } from "../tasks.mjs";
import { BY_URGENCY, say, shortId, tone } from "../words.mjs";
import { FirstUse } from "./first-use.mjs";
import { NewTask } from "./new-task.mjs";

const TaskPanel = lazy(
  () => import("./task.mjs"),
  "TaskPanel",
  ({ children }) => html`<aside class="panel" aria-label="Task">${children}</aside>`,
);

// Their columns are shown on request.
const ENDED = ["failed", "cancelled"];
const rank = (task) => BY_URGENCY.indexOf(task.priority);
const inOrder = (a, b) => rank(a) - rank(b) || (a.id < b.id ? 1 : -1);

export function Board({ taskId }) {
  const { id: projectId } = project.value;
  const [q, setQ] = useState("");
  const [typed, setTyped] = useState("");
  const [ended, setEnded] = useState(false);
  const [writing, setWriting] = useState(false);
  const states = TASK_STATES.filter((state) => ended || !ENDED.includes(state));
  const load = () => loadBoard(projectId, q, states);
  const latest = useRef(load);
  latest.current = load;

  useEffect(() => {
    load();
  }, [projectId, q, ended]);
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
            Failed and cancelled
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
            ? html`<${Columns} states=${states} taskId=${taskId} q=${q} />`
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

function Columns({ states, taskId, q }) {
  const all = [...tasks.value.values()];
  if (!all.length) {
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
      <${Empty} title=${q ? "No task matches" : "No tasks yet"}>
        ${
          q
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
          tasks=${all.filter((task) => task.state === state).sort(inOrder)}
        />`,
    )}
  </div>`;
}

const Column = ({ state, tasks: some, taskId }) =>
  html`<section
    class=${`column ${some.length ? "" : "none"}`}
    data-testid=${`board-column-${state}`}
    aria-label=${say(state)}
  >
    <h2>
      <i class=${`state-dot ${tone(state)} ${state}`}></i>
      ${say(state)}
      <span class="count">${some.length}${cursors.value[state] ? "+" : ""}</span>
    </h2>
    <div class="cards">
      ${some.map((task) => html`<${Card} key=${task.id} task=${task} on=${task.id === taskId} />`)}
      ${
        cursors.value[state] &&
        html`<${Button} kind="more" act=${() => loadMore(state)} testid="load-more">Load more<//>`
      }
    </div>
  </section>`;

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
    <span class="card-meta">
      <${Priority} of=${task.priority} />
      ${isParked(task) && html`<${ParkedChip} of=${task.parked} testid="card-parked" />`}
      ${
        busy &&
        task.phase &&
        !isParked(task) &&
        html`<span class=${`chip ${task.phase === "queued" ? "" : "busy"}`}>${say(task.phase)}</span>`
      }
      ${
        task.rolledBackAt &&
        html`<span class="chip bad" title="A rollback keeps it out of production">Rolled back</span>`
      }
      ${
        task.round > 1 &&
        html`<span class="chip" title="How often it was handed to an agent">Round ${task.round}</span>`
      }
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
