// What is missing until agents can use a real driver: one line, gone as soon as one of them can.
import { html } from "../../components/html.mjs";
import { useDrivers } from "../../forms/driver-fields.mjs";
import { hasRole } from "../../server/session.mjs";
import { t, th } from "../../words/language.mjs";

const SCRIPTED = "scripted";
const VARIABLES = { anthropic: "ANTHROPIC_API_KEY", openai: "OPENAI_API_KEY", gemini: "GEMINI_API_KEY" };

// What to do first; null if an agent can work with a real driver. drivers: as GET /drivers shows them.
function missing(drivers) {
  const real = drivers.filter(({ name }) => name !== SCRIPTED);
  if (!real.length || real.some(({ agents, hasProvider }) => agents > 0 && hasProvider !== false)) return null;
  const hasProvider = real.some((one) => one.api && one.hasProvider);
  if (hasProvider || real.every((one) => one.hasProvider === undefined)) return "driver";
  return "provider";
}

// installed: a driver that lacks nothing else; without one, it is to be installed as well.
function Provider({ installed }) {
  const values = {
    addProvider: hasRole("admin")
      ? html`<a href="#/models">${t("Add a model provider")}</a>`
      : t("Ask an admin to add a model provider"),
    variable: html`<code>${VARIABLES[installed?.api || "anthropic"]}</code>`,
  };
  if (installed)
    return th("{addProvider} or set {variable}, then agents can use {driver}.", {
      ...values,
      driver: installed.title || installed.name,
    });
  return th("{addProvider} or set {variable}, and run {command} where the agents run: then they can use Claude Code.", {
    ...values,
    command: html`<code>aiworker drivers install claude</code>`,
  });
}

// here: the agents are shown below.
export function MissingDriver({ here }) {
  const drivers = useDrivers();
  const what = drivers && missing(drivers);
  if (!what) return null;
  return html`<p class="banner ask" data-testid="first-use">
    <span>
      ${
        what === "provider"
          ? html`<${Provider} installed=${drivers.find(({ api, agents }) => VARIABLES[api] && agents > 0)} />`
          : html`
              ${th("No agent has a driver that works yet: run {command} where the agents run.", {
                command: html`<code>aiworker drivers install claude</code>`,
              })}
              ${
                !here &&
                html`${" "}${th("{agents} shows what each of them found.", {
                  agents: html`<a href="#/agents">${t("Agents")}</a>`,
                })}`
              }
            `
      }
    </span>
  </p>`;
}
