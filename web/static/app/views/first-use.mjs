// What is missing until agents can use a real driver: one line, gone as soon as one of them can.
import { html } from "../html.mjs";
import { useDrivers } from "../parts/known.mjs";
import { may } from "../session.mjs";

const SCRIPTED = "scripted";

// What to do first; null if an agent can work with a real driver. drivers: as GET /drivers shows them.
function missing(drivers) {
  const real = drivers.filter(({ name }) => name !== SCRIPTED);
  if (!real.length || real.some(({ agents, hasProvider }) => agents > 0 && hasProvider !== false)) return null;
  const hasProvider = real.some((one) => one.api && one.hasProvider);
  if (hasProvider || real.every((one) => one.hasProvider === undefined)) return "driver";
  return "provider";
}

export function FirstUse() {
  const drivers = useDrivers();
  const what = drivers && missing(drivers);
  if (!what) return null;
  return html`<p class="banner ask" data-testid="first-use">
    <span>
      ${
        what === "provider"
          ? html`${
              may("admin") ? html`<a href="#/models">Add a model provider</a>` : "Ask an admin to add a model provider"
            }${" "}
            or set <code>ANTHROPIC_API_KEY</code>, then agents can use Claude Code.`
          : html`
            No agent has a driver that works yet: run <code>aiworker drivers install claude</code> where the agents
            run. <a href="#/agents">Agents</a> shows what each of them found.
          `
      }
    </span>
  </p>`;
}
