// The agents: who is there, what each is doing, and taking one out of service.
import { useState } from "preact/hooks";
import { go, route, to } from "../../browser/routes.mjs";
import {
  Badge,
  Button,
  Empty,
  Listing,
  LoadError,
  Loading,
  Page,
  Time,
  useStickToEnd,
} from "../../components/controls.mjs";
import { Confirm } from "../../components/dialogs.mjs";
import { html } from "../../components/html.mjs";
import { hasDrivers } from "../../forms/driver-fields.mjs";
import { api } from "../../server/api.mjs";
import { useInterval, useLiveEvents, usePages, useRead } from "../../server/loading.mjs";
import { hasPlatformRole, hasRole } from "../../server/session.mjs";
import { t, th } from "../../words/language.mjs";
import { serverText } from "../../words/server-texts.mjs";
import { AGENT_STATES, DRAINABLE_AGENT_STATES } from "../../words/states.mjs";
import { clockTime, fullTime, labelOf, shortId } from "../../words/words.mjs";
import { DriverChips, Drivers, Findings } from "./drivers.mjs";
import { MissingDriver } from "./missing-driver.mjs";
import { RuntimeSandboxWarning, SandboxBadge, sandboxState } from "./sandbox-badge.mjs";

const STATUSES = ["", ...AGENT_STATES];
// No event tells of a heartbeat, nor of what an agent has logged.
const BEAT_MS = 15_000;
const LOG_MS = 5000;

const isAgentStatus = ({ event }) => event === "agent:status";
const isDeletion = ({ event }) => event === "agent:deleted";
// A task's page opens by its id alone: the agent's list doesn't say the project.
const Capabilities = ({ of }) =>
  of?.length
    ? of.map((one) => html`<span key=${one} class="chip">${one}</span>`)
    : html`<span class="muted">${t("No capabilities")}</span>`;
const openTask = async (id) => {
  const { task } = await api.get(`/tasks/${id}`);
  go(to.task(task.projectId, id));
};

export function Agents() {
  const [status, setStatus] = useState("");
  const pages = usePages("/agents", "agents", { status });
  useLiveEvents((message) => isAgentStatus(message) || isDeletion(message), pages.reload);
  useInterval(BEAT_MS, pages.reload);
  const actions = html`<label>
    <span class="sr">${t("Status")}</span>
    <select value=${status} data-testid="agents-status" onChange=${(event) => setStatus(event.target.value)}>
      ${STATUSES.map((one) => html`<option key=${one} value=${one}>${one ? labelOf(one) : t("Every status")}</option>`)}
    </select>
  </label>`;
  return html`<${Page}
    title=${t("Agents")}
    lead=${t("Who does the work. Each takes up the tasks whose required capabilities it has.")}
    actions=${actions}
  >
    <${MissingDriver} here />
    <${RuntimeSandboxWarning} />
    <${Listing}
      pages=${pages}
      empty=${
        status
          ? html`<${Empty} title=${t("No agent has this status")} />`
          : html`<${Empty} title=${t("No agent has registered")}>
            ${
              hasRole("admin")
                ? th(
                    "Start one on this machine, or make an enrolment token under {place} " +
                      "and let one register from elsewhere.",
                    { place: html`<a href="#/admin">${t("Users and enrolment")}</a>` },
                  )
                : t("Start one on this machine, or make an enrolment token and let one register from elsewhere.")
            }
          <//>`
      }
    >
      <div class="table-wrap">
        <table>
          <thead>
            <tr>
              <th>${t("Agent")}</th>
              <th>${t("Status")}</th>
              <th>${t("Drivers")}</th>
              <th>${t("Capabilities")}</th>
              <th>${t("Current task")}</th>
              <th>${t("Done")}</th>
              <th>${t("Last heartbeat")}</th>
            </tr>
          </thead>
          <tbody>
            ${pages.items?.map(
              (agent) =>
                html`<tr key=${agent.id} data-testid="agents-row" data-agent-id=${agent.id} data-status=${agent.status}>
                  <td>
                    <a href=${to.agent(agent.id)}><b>${agent.podName}</b></a>
                    <small>${agent.id} · ${agent.driver} ${agent.version}</small>
                    ${
                      agent.error &&
                      html`<small class="bad-text" data-testid="agent-error">${serverText(agent.error)}</small>`
                    }
                    <${SandboxBadge} of=${agent.sandbox} />
                  </td>
                  <td><${Badge} word=${agent.status} /></td>
                  <td><${DriverChips} agent=${agent} /></td>
                  <td><${Capabilities} of=${agent.capabilities} /></td>
                  <td>
                    ${
                      agent.currentTaskId
                        ? html`<${Button} small kind="ghost" act=${() => openTask(agent.currentTaskId)}>
                          ${shortId(agent.currentTaskId)}
                        <//>`
                        : html`<span class="muted">${t("No task")}</span>`
                    }
                  </td>
                  <td>${agent.tasksCompleted}</td>
                  <td><${Time} at=${agent.lastHeartbeat} /></td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
    <//>
    <${Drivers} ask=${pages.items?.some(({ drivers }) => drivers) || hasDrivers()} />
  <//>`;
}

export function Agent({ id }) {
  const { value, error, reload } = useRead(`/agents/${id}`);
  const [level, setLevel] = useState("");
  const logs = useRead(`/agents/${id}/logs`, { limit: 200, level });
  const [removing, setRemoving] = useState(false);
  useLiveEvents(
    (message) => (isAgentStatus(message) || isDeletion(message)) && message.data?.agentId === id,
    () => {
      reload();
      logs.reload();
    },
  );
  useInterval(BEAT_MS, reload);
  useInterval(LOG_MS, logs.reload);
  const agent = value?.agent;
  const isGone = error?.status === 404;
  if (error && (isGone || !agent))
    return html`<${Page} title=${t("Agent")}>
      <${LoadError} error=${error} again=${reload} list=${{ href: "#/agents", text: t("Agents") }} />
    <//>`;
  if (!agent) return html`<${Loading} />`;
  const drain = async () => {
    await api.post(`/agents/${id}/drain`);
    await reload();
  };
  const actions = html`
    ${
      hasPlatformRole("maintainer") &&
      DRAINABLE_AGENT_STATES.includes(agent.status) &&
      html`<${Button} act=${drain} testid="agent-drain" title=${t("It finishes what it has and takes nothing more")}>
        ${t("Drain")}
      <//>`
    }
    ${
      hasRole("admin") &&
      html`<button type="button" class="button ghost" onClick=${() => setRemoving(true)}>${t("Remove")}</button>`
    }
  `;
  return html`<${Page}
    title=${html`${agent.podName} <${Badge} word=${agent.status} />`}
    lead=${html`<a href="#/agents">${t("Agents")}</a> · ${agent.id}`}
    actions=${actions}
  >
    ${agent.error && html`<p class="banner bad" data-testid="agent-error">${serverText(agent.error)}</p>`}
    ${
      sandboxState(agent.sandbox) === "open" &&
      html`<p class="banner bad" data-testid="agent-unconfined">
        <span>
          <b>${t("Runs unconfined.")}</b>${" "}
          ${t("What it starts can read whatever its user can read.")} ${serverText(agent.sandbox.says)}
        </span>
      </p>`
    }
    <dl class="facts">
      ${
        agent.sandbox &&
        html`
          <dt>${t("Sandbox")}</dt>
          <dd><${SandboxBadge} of=${agent.sandbox} /> <span class="muted">${serverText(agent.sandbox.says)}</span></dd>
        `
      }
      <dt>${t("Drivers")}</dt>
      <dd>
        <${DriverChips} agent=${agent} />${" "}
        <span class="muted">${t("Runner {version}", { version: agent.version })}</span>
      </dd>
      <dt>${t("Capabilities")}</dt>
      <dd><${Capabilities} of=${agent.capabilities} /></dd>
      <dt>${t("Current task")}</dt>
      <dd>
        ${
          agent.currentTaskId
            ? html`<${Button} small act=${() => openTask(agent.currentTaskId)}>
              ${t("Open {id}", { id: shortId(agent.currentTaskId) })}
            <//>`
            : html`<span class="muted">${t("No task")}</span>`
        }
      </dd>
      <dt>${t("Tasks done")}</dt>
      <dd>${agent.tasksCompleted}</dd>
      <dt>${t("Last heartbeat")}</dt>
      <dd><${Time} at=${agent.lastHeartbeat} /></dd>
    </dl>
    ${agent.findings && html`<section><h2>${t("What it found")}</h2><${Findings} agent=${agent} /></section>`}
    <section>
      <div class="section-head">
        <h2>${t("Log")}</h2>
        <span class="actions">
          <label>
            <span class="sr">${t("Level")}</span>
            <select value=${level} onChange=${(event) => setLevel(event.target.value)}>
              <option value="">${t("Every level")}</option>
              ${["debug", "info", "warn", "error"].map((one) => html`<option key=${one} value=${one}>${one}</option>`)}
            </select>
          </label>
          <${Button} small act=${logs.reload}>${t("Read again")}<//>
        </span>
      </div>
      ${
        logs.error
          ? html`<${LoadError} error=${logs.error} again=${logs.reload} />`
          : !logs.value
            ? html`<${Loading} />`
            : logs.value.logs.length
              ? html`<${Log} entries=${logs.value.logs} />`
              : html`<p class="muted">
                ${level ? t("It has logged nothing at this level.") : t("It has logged nothing.")}
              </p>`
      }
    </section>
    ${
      removing &&
      html`<${Confirm}
        title=${t("Remove this agent?")}
        verb=${t("Remove")}
        act=${async () => {
          await api.remove(`/agents/${id}`);
          if (route.value.view === "agents") go("#/agents");
        }}
        close=${() => setRemoving(false)}
      >
        ${t("Its token is good for nothing from then on. While it has a live run it is refused: drain it first.")}
      <//>`
    }
  <//>`;
}

function Log({ entries }) {
  const box = useStickToEnd(entries);
  return html`<div
    class="log-box"
    ...${box}
    tabindex="0"
    role="log"
    aria-label=${t("Agent log")}
    data-testid="agent-log"
  >
    <ol class="log">
      ${entries.map(
        (one, at) =>
          html`<li
            key=${at}
            class=${`entry log ${one.level === "error" ? "erro" : one.level.startsWith("warn") ? "warn" : ""}`}
          >
            <time datetime=${one.at} title=${fullTime(one.at)}>${clockTime(one.at)}</time>
            <pre>${one.message}</pre>
          </li>`,
      )}
    </ol>
  </div>`;
}
