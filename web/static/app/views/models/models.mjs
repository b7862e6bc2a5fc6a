// Providers of models: those of the environment, and those that an admin adds. A key is written and never shown.
import { useState } from "preact/hooks";
import { AddButton, Empty, LoadError, Loading, Page } from "../../components/controls.mjs";
import { Confirm } from "../../components/dialogs.mjs";
import { html } from "../../components/html.mjs";
import { providersOf } from "../../forms/driver-fields.mjs";
import { api } from "../../server/api.mjs";
import { useInterval, useRead } from "../../server/loading.mjs";
import { hasRole } from "../../server/session.mjs";
import { t, th } from "../../words/language.mjs";
import { ForAdmins } from "../administration/admin.mjs";
import { ProviderTestButton, ProviderTestResult } from "./connect-model.mjs";
import { LOGINS, ProviderForm } from "./provider-form.mjs";

const ENVIRONMENT = "environment";
// No event tells what another window changes.
const LOOK_MS = 20_000;
const loginOf = new Map(LOGINS);

export function Models() {
  if (!hasRole("admin"))
    return html`<${Page} title=${t("Models")}>
      <${ForAdmins} />
    <//>`;
  return html`<${Providers} />`;
}

function Providers() {
  const { value, error, reload } = useRead("/model-providers");
  useInterval(LOOK_MS, reload);
  const [editing, setEditing] = useState(null);
  const [removing, setRemoving] = useState(null);
  const providers = providersOf(value);
  const actions = html`<${AddButton} testid="provider-new" open=${() => setEditing({})}>${t("Add a provider")}<//>`;
  return html`<${Page}
    title=${t("Models")}
    lead=${t(
      "Where agents get their models. Keys stay with the platform: agents call its gateway, which counts their use.",
    )}
    actions=${actions}
  >
    ${
      error && !value
        ? html`<${LoadError} error=${error} again=${reload} />`
        : !value
          ? html`<${Loading} />`
          : !providers.length
            ? html`<${Empty} title=${t("No model provider")}>
              ${th("Add one, or set {anthropic}, {openai} or {gemini} before the platform starts.", {
                anthropic: html`<code>ANTHROPIC_API_KEY</code>`,
                openai: html`<code>OPENAI_API_KEY</code>`,
                gemini: html`<code>GEMINI_API_KEY</code>`,
              })}
            <//>`
            : html`<ul class="rows">
              ${providers.map(
                (one) =>
                  html`<${Provider}
                    key=${one.id ?? one.name}
                    provider=${one}
                    edit=${() => setEditing(one)}
                    remove=${() => setRemoving(one)}
                  />`,
              )}
            </ul>`
    }
    ${
      editing &&
      html`<${ProviderForm}
      of=${editing}
      others=${providers.filter(({ id, fallback }) => id !== editing.id && fallback !== undefined)}
      close=${() => setEditing(null)} saved=${reload}
    />`
    }
    ${
      removing &&
      html`<${Confirm}
        title=${t("Remove {name}?", { name: removing.name })}
        verb=${t("Remove")}
        testid="provider-remove-confirm"
        act=${async () => {
          await api.remove(`/model-providers/${removing.id}`);
          await reload();
        }}
        close=${() => setRemoving(null)}
      >
        ${t("Its key is deleted. Agents that use its models fail at their next call.")}
      <//>`
    }
  <//>`;
}

function Provider({ provider, edit, remove }) {
  const { name, baseUrl, login, hasKey, models = [], enabled, source } = provider;
  const fixed = source === ENVIRONMENT;
  const [result, tell] = useState(null);
  return html`<li class="row" data-testid="provider" data-name=${name} data-source=${source}>
    <span class="row-main">
      <b>${name}</b>
      <small>${provider.api} · ${baseUrl}</small>
      ${models.length > 0 && html`<small>${models.join(", ")}</small>`}
      <${ProviderTestResult} result=${result} />
    </span>
    ${
      fixed &&
      html`<span class="chip" title=${t("A variable of the environment names it; change it there")}>
        ${t("Environment")}
      </span>`
    }
    ${
      provider.fallback &&
      html`<span class="chip" title=${t("Takes the calls while this one is at a limit")}>
        ${t("Then {provider}", { provider: provider.fallback })}${
          provider.fallbackModel && `: ${provider.fallbackModel}`
        }
      </span>`
    }
    ${enabled === false && html`<span class="chip bad">${fixed ? t("Replaced") : t("Switched off")}</span>`}
    <span class="chip">${t(loginOf.get(login) || login)}</span>
    ${
      login !== "none" &&
      html`<span class=${hasKey ? "muted" : "bad-text"}>${hasKey ? t("Key is set") : t("No key")}</span>`
    }
    ${enabled !== false && html`<${ProviderTestButton} id=${provider.id} tell=${tell} small />`}
    ${
      !fixed &&
      html`
        <button type="button" class="button small" data-testid="provider-edit" onClick=${edit}>${t("Edit")}</button>
        <button type="button" class="button small ghost" data-testid="provider-remove" onClick=${remove}>
          ${t("Remove")}
        </button>
      `
    }
  </li>`;
}
