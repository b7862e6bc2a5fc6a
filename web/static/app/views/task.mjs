// One task, whole: what is wanted, what the agent asks and does, what was proven, and a person's answer to it.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../html.mjs";
import { useLive, useRead } from "../loading.mjs";
import { Badge, Icon, Loading, OutLink, SentBack, Time, Trouble } from "../parts/controls.mjs";
import { lazy } from "../parts/lazy.mjs";
import { Markdown } from "../parts/markdown.mjs";
import { isParked, ParkedChip } from "../parts/parked.mjs";
import { Priority } from "../parts/priority.mjs";
import { PreviewLink } from "../parts/visit.mjs";
import { project } from "../projects.mjs";
import { useReview } from "../reviews.mjs";
import { go, route, to, withQuery } from "../routes.mjs";
import { may } from "../session.mjs";
import { keepTask } from "../tasks.mjs";
import { useTitle } from "../titles.mjs";
import { actorName, idOf, isOwnForge, say, sha, shortId, shownState } from "../words.mjs";
import { EditTask, Rejection, TaskActions } from "./task-actions.mjs";
import { Attachments } from "./task-attachments.mjs";
import { Parked, TaskCaps } from "./task-parked.mjs";
import { Proposals } from "./task-proposals.mjs";
import { Questions } from "./task-questions.mjs";
import { Runs } from "./task-runs.mjs";
import { Steering } from "./task-steering.mjs";
import { Comments, Timeline } from "./task-talk.mjs";

// What passes by and changes nothing of the task.
const PASSING = ["task:log", "task:progress"];
const Review = lazy(
  () => import("./review.mjs"),
  "Review",
  ({ children }) => children,
);

export function TaskPanel({ id }) {
  const { value, error, reload } = useRead(`/tasks/${id}`);
  const task = value?.task;
  const [wide, setWide] = useState(false);
  const close = () => go(withQuery(to.project(project.value.id), route.value.query));
  const mine = new Set((task?.deployments || []).map((one) => one.id));
  useLive(
    ({ event, data }) => (data?.taskId === id && !PASSING.includes(event)) || mine.has(data?.deploymentId),
    reload,
  );
  useEffect(() => {
    if (task) keepTask(task);
  }, [task]);
  useTitle(task?.title);
  useEffect(() => {
    const pressed = (event) =>
      event.key === "Escape" && !event.target.closest("input,textarea,select,dialog") && close();
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
  const panel = useRef();
  useEffect(() => {
    if (!document.activeElement?.closest(".card")) return undefined;
    panel.current.focus({ preventScroll: true });
    return () =>
      setTimeout(() => {
        if (document.activeElement === document.body) document.querySelector(`.card[data-task-id="${id}"]`)?.focus();
      });
  }, []);
  return html`<aside class=${`panel ${wide ? "wide" : ""}`} aria-label="Task" tabindex="-1" ref=${panel}>
    <div class="panel-bar">
      <span class="muted">${shortId(id)}</span>
      <span class="grow"></span>
      <button
        type="button"
        class="button ghost square wide-toggle"
        aria-label="Wider"
        aria-pressed=${wide}
        onClick=${() => setWide(!wide)}
      >
        <${Icon} name="wide" />
      </button>
      <button type="button" class="button ghost square" aria-label="Close" onClick=${close}>
        <${Icon} name="close" />
      </button>
    </div>
    ${
      task
        ? html`<${Task} task=${task} reload=${reload} />`
        : error
          ? html`<${Trouble} error=${error} again=${reload} />`
          : html`<${Loading} />`
    }
  </aside>`;
}

function Task({ task, reload }) {
  const review = useReview(task.id);
  const [rejecting, setRejecting] = useState(false);
  const [editing, setEditing] = useState(false);
  const isOpen = task.state === "ready_to_test" && may("maintainer");
  useEffect(() => {
    if (!isOpen) setRejecting(false);
  }, [isOpen]);
  const rejection = { review, rejecting, setRejecting };
  return html`<div class="panel-body">
    <header class="task-head">
      <h1>${task.title}</h1>
      <div class="task-line">
        <${Badge} word=${task.state} shown=${shownState(task)} testid="task-state" />
        ${isParked(task) && html`<${ParkedChip} of=${task.parked} testid="task-parked-chip" />`}
        ${
          task.state === "in_progress" &&
          task.phase &&
          !isParked(task) &&
          html`<span class="chip busy" data-testid="task-phase">${say(task.phase)}</span>`
        }
        <${SentBack} round=${task.round} />
        <${Priority} of=${task.priority} />
        <span class="muted">${say(task.priority)}</span>
      </div>
      <${TaskActions} task=${task} reload=${reload} review=${rejection} edit=${() => setEditing(true)} />
    </header>
    ${
      task.error &&
      html`<p class=${`banner ${task.state === "backlog" ? "ask" : "bad"}`} data-testid="task-error">${task.error}</p>`
    }
    ${rejecting && html`<${Rejection} task=${task} review=${rejection} reload=${reload} />`}
    <${Parked} task=${task} reload=${reload} />
    <${Questions} task=${task} reload=${reload} />
    ${task.heldBy && html`<${Steering} task=${task} reload=${reload} />`}
    <${Facts} task=${task} />
    <${TaskCaps} task=${task} />
    <section>
      <h2>Description</h2>
      ${
        task.description ? html`<${Markdown} text=${task.description} />` : html`<p class="muted">None was written.</p>`
      }
      ${task.notes && html`<h3>Notes</h3><${Markdown} text=${task.notes} />`}
    </section>
    <${Attachments} task=${task} reload=${reload} />
    <${Proposals} task=${task} reload=${reload} />
    <${Runs} task=${task} />
    ${!task.heldBy && html`<${Steering} task=${task} reload=${reload} />`}
    <${Review} task=${task} reload=${reload} />
    <${Comments} task=${task} reload=${reload} />
    <${Timeline} task=${task} />
    ${editing && html`<${EditTask} task=${task} reload=${reload} close=${() => setEditing(false)} />`}
  </div>`;
}

function Facts({ task }) {
  const previews = (task.deployments || []).filter(({ environment }) => environment === "preview");
  const preview = previews.sort((a, b) => (a.id < b.id ? 1 : -1))[0];
  const liveId = previews.find(({ status }) => status === "completed")?.id;
  return html`<dl class="facts">
    ${
      (task.previewUrl || preview) &&
      html`
        <dt>Preview</dt>
        <dd>
          ${
            task.previewUrl
              ? html`<${PreviewLink}
                deploymentId=${liveId}
                href=${task.previewUrl}
                testid="task-preview"
              >
                ${task.previewUrl}
              <//>`
              : html`<span class="muted" data-testid="task-preview">Not running</span>`
          }
          ${preview && preview.status !== "superseded" && html`<${Badge} word=${preview.status} />`}
          ${preview?.error && html`<span class="bad-text">${preview.error}</span>`}
        </dd>
      `
    }
    ${
      task.branchName &&
      html`
        <dt>Branch</dt>
        <dd>
          <code>${task.branchName}</code>
          ${task.headSha && html`<code title=${task.headSha}>${sha(task.headSha)}</code>`}
        </dd>
      `
    }
    ${
      task.laterPush &&
      html`
        <dt>Left out</dt>
        <dd data-testid="task-later-push">
          <code title=${task.laterPush}>${sha(task.laterPush)}</code> was pushed too late: its group goes on
          with <code title=${task.approvedSha}>${sha(task.approvedSha)}</code>, which was approved.
        </dd>
      `
    }
    ${
      task.prUrl &&
      html`
        <dt>Pull request</dt>
        <dd>
          ${isOwnForge(task.prUrl) ? `#${task.prNumber}` : html`<${OutLink} href=${task.prUrl}>#${task.prNumber}<//>`}
        </dd>
      `
    }
    ${
      task.assignedAgentId &&
      html`<dt>Agent</dt><dd><a href=${to.agent(task.assignedAgentId)}>${task.assignedAgentId}</a></dd>`
    }
    ${
      (task.driver || task.model) &&
      html`<dt>Driver</dt><dd>${[task.driver, task.model].filter(Boolean).join(" · ")}</dd>`
    }
    ${
      task.labels?.length > 0 &&
      html`
        <dt>Labels</dt>
        <dd>${task.labels.map((label) => html`<span key=${label} class="chip label">${label}</span>`)}</dd>
      `
    }
    ${
      task.requiredCapabilities?.length > 0 &&
      html`
        <dt>Needs</dt>
        <dd>${task.requiredCapabilities.map((one) => html`<span key=${one} class="chip">${one}</span>`)}</dd>
      `
    }
    ${
      task.dependsOn?.length > 0 &&
      html`
        <dt>Depends on</dt>
        <dd>
          ${task.dependsOn.map(
            (one) =>
              html`<a key=${idOf(one)} href=${to.task(task.projectId, idOf(one))}>
                ${one.title || shortId(idOf(one))}
              </a>`,
          )}
        </dd>
      `
    }
    ${
      task.rolledBackAt &&
      html`
        <dt>Rolled back</dt>
        <dd data-testid="task-rolled-back">
          <${Time} at=${task.rolledBackAt} /> <span class="muted">Production runs a version without it.</span>
        </dd>
      `
    }
    <dt>Created</dt>
    <dd><${Time} at=${task.createdAt} />${task.createdBy && html` by ${actorName(task.createdBy)}`}</dd>
  </dl>`;
}
