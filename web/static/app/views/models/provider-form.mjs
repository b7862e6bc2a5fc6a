// Adding and changing a model provider. Only what was changed is sent; the key is sent and forgotten.
import { toastSuccess } from "../../browser/toasts.mjs";
import { Dialog } from "../../components/dialogs.mjs";
import { html } from "../../components/html.mjs";
import { CheckField, FieldForm, SelectField, TextField } from "../../forms/fields.mjs";
import { FormEnd, RestoredDraftNotice } from "../../forms/form.mjs";
import { useSharedForm } from "../../forms/shared-form.mjs";
import { api } from "../../server/api.mjs";
import { mark, t, tPairs } from "../../words/language.mjs";

export const APIS = [
  ["anthropic", "Anthropic Messages", "api.anthropic.com"],
  ["openai", mark("OpenAI Responses and Chat Completions"), "api.openai.com/v1"],
  ["gemini", "Gemini generateContent", "generativelanguage.googleapis.com"],
];
export const LOGINS = [
  ["key", mark("API key")],
  ["subscription", mark("Claude subscription")],
  ["none", mark("No login")],
];
const PRICE_NAMES = ["input", "output", "cached", "cacheWrite"];

const lines = (text) =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);

const UNSAID = "-";

// "model input output [cached [cacheWrite]]", one a line.
const pricesText = (prices) =>
  Object.entries(prices || {})
    .map(([model, price]) => [model, ...PRICE_NAMES.map((name) => price[name] ?? UNSAID)].join(" "))
    .map((line) => line.replace(/( -)+$/, ""))
    .join("\n");

// What is no number stays text, for the server to refuse.
const pricesOf = (text) =>
  Object.fromEntries(
    lines(text).map((line) => {
      const [model, ...rest] = line.split(/\s+/);
      const pairs = rest.map((one, at) => [PRICE_NAMES[at] || `price${at + 1}`, Number.isNaN(+one) ? one : +one]);
      return [model, Object.fromEntries(pairs.filter(([, price]) => price !== UNSAID))];
    }),
  );

const draftOf = (of) => ({
  name: of.name ?? "",
  api: of.api ?? APIS[0][0],
  baseUrl: of.baseUrl ?? "",
  login: of.login ?? LOGINS[0][0],
  key: "",
  models: (of.models || []).join("\n"),
  prices: pricesText(of.prices),
  fallback: of.fallback ?? "",
  fallbackModel: of.fallbackModel ?? "",
  enabled: of.enabled ?? true,
});

export const usualAddress = (name) => `https://${APIS.find(([one]) => one === name)?.[2] || ""}`;

function bodyOf(draft) {
  const body = {
    name: draft.name.trim(),
    api: draft.api,
    baseUrl: draft.baseUrl.trim() || usualAddress(draft.api),
    login: draft.login,
    models: lines(draft.models),
    prices: pricesOf(draft.prices),
    enabled: draft.enabled,
    fallback: draft.fallback || null,
    fallbackModel: (draft.fallback && draft.fallbackModel.trim()) || null,
  };
  if (draft.key) body.key = draft.key;
  return body;
}

const differs = (a, b) => JSON.stringify(a) !== JSON.stringify(b);

// Who takes the calls while this provider refuses them: only one of the same API can answer them.
function FallbackFields({ form, others }) {
  const { api: spoken, fallback } = form.draft;
  const names = others.filter((one) => one.api === spoken).map(({ name }) => name);
  if (fallback && !names.includes(fallback)) names.unshift(fallback);
  if (!names.length) return null;
  return html`<div class="pair">
    <${SelectField}
      label=${t("Fallback")}
      name="fallback"
      testid="provider-fallback"
      options=${[["", t("None: the task is parked")], ...names.map((name) => [name, name])]}
      hint=${t("Takes the calls while this one is at a limit.")}
    />
    ${
      fallback &&
      html`<${TextField}
        label=${t("Fallback model")}
        name="fallbackModel"
        testid="provider-fallback-model"
        hint=${t("Asked for there. Empty: the same model.")}
        spellcheck=${false}
      />`
    }
  </div>`;
}

export function ProviderForm({ of, others = [], close, saved }) {
  const { form, fields, submit } = useSharedForm({
    now: of,
    draftOf,
    read: async () => (of.id ? (await api.get(`/model-providers/${of.id}`)).modelProvider : of),
    keepAs: `provider.${of.id ?? "new"}`,
    unkept: ["key"],
  });
  const cancel = () => {
    form.reset();
    close();
  };
  const send = async (draft, before) => {
    const body = bodyOf(draft);
    if (of.id) {
      const old = bodyOf(before);
      const changed = Object.fromEntries(Object.entries(body).filter(([name, value]) => differs(value, old[name])));
      if (Object.keys(changed).length) await api.patch(`/model-providers/${of.id}`, changed);
    } else {
      const { fallback, fallbackModel, ...rest } = body;
      await api.post("/model-providers", fallback ? { ...rest, fallback, fallbackModel } : rest);
    }
    return draft;
  };
  const save = submit(send, async () => {
    toastSuccess(of.id ? t("Saved.") : t("Provider added."));
    await saved();
    close();
  });
  const { draft } = form;
  const title = of.id ? t("Edit {name}", { name: of.name }) : t("Add a model provider");
  return html`<${Dialog} title=${title} close=${close} wide>
    <${FieldForm} of=${fields} onSubmit=${save} autocomplete="off">
      <${RestoredDraftNotice} form=${form} />
      <div class="pair">
        <${TextField}
          label=${t("Name")}
          name="name"
          testid="provider-name"
          required
          maxlength="40"
          placeholder="anthropic"
          autocapitalize="none"
          hint=${t("Lower-case letters, digits and hyphens.")}
        />
        <${SelectField} label="API" name="api" testid="provider-api" options=${tPairs(APIS)} />
      </div>
      <${TextField}
        label=${t("Base URL")}
        name="baseUrl"
        testid="provider-base-url"
        placeholder=${usualAddress(draft.api)}
        hint=${t("Empty: the provider's own. A local model server has another.")}
        spellcheck=${false}
      />
      <div class="pair">
        <${SelectField} label=${t("Login")} name="login" testid="provider-login" options=${tPairs(LOGINS)} />
        ${
          draft.login !== "none" &&
          html`<${TextField}
            label=${draft.login === "subscription" ? t("Subscription token") : t("API key")}
            name="key"
            type="password"
            testid="provider-key"
            autocomplete="new-password"
            required=${!of.hasKey}
            hint=${keyHint(draft.login, of)}
          />`
        }
      </div>
      <${TextField}
        label=${t("Models")}
        name="models"
        testid="provider-models"
        rows="3"
        placeholder="claude-sonnet-4-5"
        hint=${t("One a line. Empty: all that it has.")}
        spellcheck=${false}
      />
      <${TextField}
        label=${t("Prices")}
        name="prices"
        testid="provider-prices"
        rows="2"
        placeholder="claude-sonnet-4-5 3 15 0.3"
        hint=${t(
          "One model a line: its name, then US dollars per million tokens of input, output and, if you like, " +
            "read from the cache and written to it. They override the price list.",
        )}
        spellcheck=${false}
      />
      <${FallbackFields} form=${fields} others=${others} />
      <${CheckField} label=${t("Enabled")} hint=${t("Without it no run uses this provider.")} name="enabled" />
      <${FormEnd} form=${form} cancel=${cancel} testid="provider-save">${t("Save")}<//>
    <//>
  <//>`;
}

function keyHint(login, of) {
  return [
    login === "subscription" && t("What `claude setup-token` prints."),
    of.hasKey && t("Empty: the present one stays."),
    t("It is never shown again."),
  ]
    .filter(Boolean)
    .join(" ");
}
