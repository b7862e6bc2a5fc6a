// Connecting a model: which drivers there are, a key, and whether a real call with it is answered.
import { useState } from "preact/hooks";
import { Button } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { providersOf, useAllDrivers } from "../../forms/driver-fields.mjs";
import { FieldForm, SelectField, TextField } from "../../forms/fields.mjs";
import { FormError, useForm } from "../../forms/form.mjs";
import { api } from "../../server/api.mjs";
import { useRead } from "../../server/loading.mjs";
import { hasRole } from "../../server/session.mjs";
import { t, th, tn, tPairs } from "../../words/language.mjs";
import { serverText } from "../../words/server-texts.mjs";
import { APIS, usualAddress } from "./provider-form.mjs";

const SUBSCRIPTION = "sk-ant-oat";
const SCRIPTED = "scripted";
const ENVIRONMENT = "environment";

const sayAnswer = ({ model, latencyMs }) =>
  model
    ? t("It works: {model} answered in {latencyMs} ms.", { model, latencyMs })
    : t("It works: answered in {latencyMs} ms.", { latencyMs });

// What a test said: {ok, model, latencyMs, error}.
export const ProviderTestResult = ({ result }) =>
  result &&
  html`<p
    class=${result.ok ? "good-text" : "bad-text"}
    role="status"
    data-testid="provider-tested"
    data-ok=${result.ok}
  >
    ${result.ok ? sayAnswer(result) : serverText(result.error)}
  </p>`;

// A button that makes the call. small: in a row.
export function ProviderTestButton({ id, tell, small }) {
  const test = async () => {
    tell(null);
    tell(await api.post(`/model-providers/${id}/test`));
  };
  return html`<${Button} small=${small} act=${test} testid="provider-test" title=${t("Makes one short call")}>
    ${t("Test")}
  <//>`;
}

export function ConnectModel() {
  const drivers = useAllDrivers().value?.drivers;
  const known = useRead(hasRole("admin") ? "/model-providers" : null);
  const all = providersOf(known.value);
  const providers = all.filter(({ enabled }) => enabled !== false);
  if (!drivers) return null;
  const real = drivers.filter(({ name, api: spoken }) => name !== SCRIPTED && spoken);
  return html`<section class="connect" data-testid="connect-model">
    <h2>${t("Connect a model")}</h2>
    <p class="muted">
      ${t("Then agents do tasks in plain words. Without one, they follow steps that a task lists.")}
    </p>
    <ul class="rows">
      ${real.map(
        ({ name, title, agents, hasProvider }) =>
          html`<li key=${name} class="row" data-testid="connect-driver" data-driver=${name}>
            <span class="row-main">
              <b>${title || name}</b>
              <small>
                ${
                  agents > 0
                    ? hasProvider === false
                      ? t("Installed; needs a key")
                      : t("Ready")
                    : th("Not installed: {command}", {
                        command: html`<code>aiworker drivers install ${name}</code>`,
                      })
                }
              </small>
            </span>
            <span class=${`badge ${agents > 0 && hasProvider !== false ? "good" : "quiet"}`}>
              <i></i>${tn(agents, "{count} agent", "{count} agents")}
            </span>
          </li>`,
      )}
    </ul>
    ${
      hasRole("admin")
        ? html`
          ${
            providers.length > 0 &&
            html`<ul class="rows">
              ${providers.map((one) => html`<${Known} key=${`${one.id} ${one.updatedAt}`} provider=${one} />`)}
            </ul>`
          }
          <${Key} providers=${all} reload=${known.reload} />
        `
        : html`<p class="muted">${t("An admin can add a provider's key.")}</p>`
    }
  </section>`;
}

function Known({ provider: { id, name, api: spoken } }) {
  const [result, tell] = useState(null);
  const [, spokenName] = tPairs(APIS).find(([one]) => one === spoken) || [];
  return html`<li class="row" data-testid="connect-known">
    <span class="row-main"><b>${name}</b><small>${spokenName}</small><${ProviderTestResult} result=${result} /></span>
    <${ProviderTestButton} id=${id} tell=${tell} small />
  </li>`;
}

// A key that is wrong is replaced where it was given. Names are those of the APIs. A provider of the same name that
// calls another address is not given this key.
function Key({ providers, reload }) {
  const form = useForm({ api: APIS[0][0], key: "" });
  const isGiven = ({ name, baseUrl, source }) =>
    name === form.draft.api && baseUrl === usualAddress(name) && source !== ENVIRONMENT;
  const given = providers.find(isGiven);
  const submit = form.submit(async ({ api: spoken, key: pasted }) => {
    const key = pasted.trim();
    const login = key.startsWith(SUBSCRIPTION) ? "subscription" : "key";
    try {
      if (given) await api.patch(`/model-providers/${given.id}`, { login, key, enabled: true });
      else
        await api.post("/model-providers", {
          name: spoken,
          api: spoken,
          baseUrl: usualAddress(spoken),
          login,
          key,
        });
      form.reset();
    } finally {
      await reload();
    }
  });
  return html`<${FieldForm} of=${form} onSubmit=${submit} autocomplete="off" data-testid="connect-key">
    <div class="pair">
      <${SelectField} label=${t("Provider")} name="api" testid="connect-api" options=${tPairs(APIS)} />
      <${TextField}
        label=${t("API key")}
        name="key"
        type="password"
        testid="connect-secret"
        required
        autocomplete="new-password"
        hint=${t("It is stored encrypted and never shown again.")}
      />
    </div>
    <${FormError} form=${form} />
    <footer class="actions">
      <a href="#/models">${t("All settings of models")}</a>
      <button class="button" data-testid="connect-save" disabled=${form.busy}>
        ${given ? t("Replace key") : t("Add key")}
      </button>
    </footer>
  <//>`;
}
