// Drivers: what each agent can work with, what is missing and how to get it.
import { to } from "../../browser/routes.mjs";
import { LoadError, Loading } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { useAllDrivers } from "../../forms/driver-fields.mjs";
import { t, tn } from "../../words/language.mjs";
import { serverText } from "../../words/server-texts.mjs";

const MAKERS = { anthropic: "Anthropic", openai: "OpenAI", gemini: "Gemini" };
const makerOf = (api) => MAKERS[api] || api;
const said = ({ canWork, says, version }) =>
  serverText(says) || (canWork ? (version ? t("Works, version {version}", { version }) : t("Works")) : "");

// An agent's drivers as chips; those that don't work say why.
export function DriverChips({ agent }) {
  const findings = agent.findings || [];
  const names = agent.drivers?.length ? agent.drivers : [agent.driver].filter(Boolean);
  const others = findings.filter(({ name }) => !names.includes(name));
  const all = [...names.map((name) => findings.find((one) => one.name === name) || { name, canWork: true }), ...others];
  return all
    .filter((one) => one.canWork || names.includes(one.name))
    .map(
      (one) =>
        html`<span key=${one.name} class=${`chip ${one.canWork ? "" : "bad"}`} title=${said(one)}>
          ${one.name}<span class="sr">${" "}${one.canWork ? t("works") : t("does not work")}</span>
        </span>`,
    );
}

// Everything that an agent found out, one line a driver. What it was not set up for is no fault.
export function Findings({ agent: { findings, drivers = [] } }) {
  if (!findings?.length) return html`<p class="muted">${t("It has reported nothing about its drivers.")}</p>`;
  return html`<ul class="rows" data-testid="agent-findings">
    ${findings.map(
      (one) =>
        html`<li key=${one.name} class="row" data-testid="finding" data-driver=${one.name} data-works=${one.canWork}>
          <span class=${`badge ${one.canWork ? "good" : drivers.includes(one.name) ? "bad" : "quiet"}`}>
            <i></i>${one.canWork ? t("Can work") : t("Cannot work")}
          </span>
          <span class="row-main">
            <b>${one.name} ${one.version || ""}</b>
            ${one.says && html`<span class="muted">${serverText(one.says)}</span>`}
          </span>
        </li>`,
    )}
  </ul>`;
}

// All drivers of the platform. ask: false where the server knows none.
export function Drivers({ ask }) {
  const { value, error, reload } = useAllDrivers(ask);
  if (!ask) return null;
  return html`<section data-testid="drivers">
    <h2>${t("Drivers")}</h2>
    <p class="muted">${t("The programs that do the work. A task goes only to an agent that has its driver.")}</p>
    ${
      error && !value
        ? html`<${LoadError} error=${error} again=${reload} />`
        : !value
          ? html`<${Loading} />`
          : html`<ul class="rows">
            ${value.drivers.map((one) => html`<${Driver} key=${one.name} driver=${one} />`)}
          </ul>`
    }
  </section>`;
}

function Driver({ driver }) {
  const { name, title, api, agents, findings = [], hasProvider } = driver;
  const broken = findings.filter(({ canWork }) => !canWork);
  return html`<li class="row" data-testid="driver-row" data-driver=${name}>
    <span class="row-main">
      <b>${serverText(title) || name}</b>
      <small>${name}${api && ` · ${t("speaks the {api} API", { api: makerOf(api) })}`}</small>
      ${
        api &&
        hasProvider === false &&
        html`<small class=${agents > 0 && "bad-text"}>
          ${t("No model provider speaks the {api} API yet.", { api: makerOf(api) })}
        </small>`
      }
      ${
        broken.length > 0 &&
        html`<details>
          <summary>
            ${tn(broken.length, "{count} agent can't work with it", "{count} agents can't work with it")}
          </summary>
          ${broken.map(
            (one) =>
              html`<p key=${one.agentId}>
                <a href=${to.agent(one.agentId)}>${one.podName || one.agentId}</a>:
                ${" "}${serverText(one.says) || t("no reason given")}
              </p>`,
          )}
        </details>`
      }
    </span>
    <span class=${`badge ${agents > 0 ? "good" : "quiet"}`}>
      <i></i>${tn(agents, "{count} agent", "{count} agents")}
    </span>
  </li>`;
}
