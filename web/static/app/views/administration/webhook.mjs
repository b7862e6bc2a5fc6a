// The outgoing webhook: where it goes, what it tells of, whether it works. For admins.
import { useState } from "preact/hooks";
import { toastSuccess } from "../../browser/toasts.mjs";
import { Button, Listing, LoadError, Time } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { CheckField, FieldForm, TextField } from "../../forms/fields.mjs";
import { FormEnd } from "../../forms/form.mjs";
import { useSharedForm } from "../../forms/shared-form.mjs";
import { api } from "../../server/api.mjs";
import { useInterval, useLiveEvents, usePages, useRead } from "../../server/loading.mjs";
import { t } from "../../words/language.mjs";
import { serverText } from "../../words/server-texts.mjs";
import { OneTimeSecret } from "../account/account.mjs";

// No event tells of messages.
const LOOK_MS = 20_000;
const FIRST_TRY_MS = 1000;

// Read when it is shown, so that it is in the language of then.
const kinds = () => [
  ["question", t("Questions"), t("An agent asks, or nobody has answered for a while.")],
  ["review", t("Reviews"), t("A task is ready to test.")],
  ["failed", t("Failures"), t("A task was given up: its runs failed or were refused.")],
  ["parked", t("Caps"), t("A task waits because it reached a cap of spending.")],
  ["release", t("Releases"), t("A release failed or waits for production, or a live version fails.")],
  ["base_is_red", t("Red default branch"), t("The tests of a default branch fail by themselves.")],
  ["quarantined", t("Tests in quarantine"), t("A project's rule put a flaky test into quarantine.")],
  ["finished", t("Finished"), t("A release runs in production.")],
];

// Its tone, and what is said of it.
const endOf = ({ finishedAt, error }) =>
  !finishedAt ? ["busy", t("Waiting")] : error ? ["bad", t("Given up")] : ["good", t("Delivered")];

export function Webhook() {
  const { value, error, reload } = useRead("/webhook");
  const pages = usePages("/webhook/deliveries", "webhookDeliveries");
  useLiveEvents(({ event }) => event === "settings:changed", reload);
  if (error && !value) return html`<${LoadError} error=${error} again=${reload} />`;
  if (!value) return null;
  const { webhook } = value;
  return html`<section data-testid="webhook">
    <h2>${t("Outgoing webhook")}</h2>
    <p class="muted">
      ${t("Tells a chat, a phone or a program of yours what needs a person.")}
      ${" "}${t("Each message is signed, and tried for about eight hours.")}
    </p>
    <${Form} webhook=${webhook} saved=${reload} />
    ${webhook.hasSecret && html`<${Signing} changed=${reload} />`}
    ${webhook.url && html`<${Deliveries} webhook=${webhook} pages=${pages} />`}
  </section>`;
}

const chosenIn = (draft) =>
  kinds()
    .map(([kind]) => kind)
    .filter((kind) => draft[kind]);

const draftOf = (webhook) => ({
  url: webhook.url || "",
  enabled: webhook.enabled,
  ...Object.fromEntries(kinds().map(([kind]) => [kind, webhook.kinds.includes(kind)])),
});

// Only what differs from `before`.
function changesIn(draft, before) {
  const changes = {};
  const [url, chosen] = [draft.url.trim(), chosenIn(draft)];
  if (url !== before.url) changes.url = url || null;
  if (`${chosen}` !== `${chosenIn(before)}`) changes.kinds = chosen;
  // The first address switches it on.
  if (before.url && url && draft.enabled !== before.enabled) changes.enabled = draft.enabled;
  return changes;
}

function Form({ webhook, saved }) {
  const { form, fields, submit } = useSharedForm({
    now: webhook,
    draftOf,
    read: async () => (await api.get("/webhook")).webhook,
  });
  const send = async (draft, before) => {
    const changes = changesIn(draft, before);
    if (!Object.keys(changes).length) return toastSuccess(t("Nothing has changed."));
    await api.patch("/webhook", changes);
    return draft;
  };
  const save = submit(send, async () => {
    toastSuccess(t("Saved."));
    await saved();
  });
  return html`<${FieldForm} of=${fields} class="sheet" onSubmit=${save}>
    <${TextField}
      label=${t("Address")}
      name="url"
      type="url"
      testid="webhook-url"
      hint=${t("https://… of an incoming webhook of your chat. Empty: none. Whoever reads it is told of all projects.")}
    />
    ${webhook.url && html`<${CheckField} label=${t("Switched on")} name="enabled" />`}
    <fieldset class="caps">
      <legend>${t("What it tells of")}</legend>
      ${kinds().map(
        ([kind, label, hint]) => html`<${CheckField} key=${kind} label=${label} hint=${hint} name=${kind} />`,
      )}
    </fieldset>
    <${FormEnd} form=${form} testid="webhook-save">${t("Save webhook")}<//>
  <//>`;
}

function Signing({ changed }) {
  const [secret, setSecret] = useState(null);
  const make = async () => {
    setSecret((await api.post("/webhook/secret")).secret);
    await changed();
  };
  return html`<p class="muted">
      ${t("A program that receives the messages checks their signature with the secret (Standard Webhooks).")}
      ${" "}${t("A new one replaces the old one at once.")}
    </p>
    <p><${Button} act=${make} testid="webhook-secret-new">${t("Make a new secret")}<//></p>
    ${secret && html`<${OneTimeSecret} value=${secret} />`}`;
}

function Deliveries({ webhook, pages }) {
  const waits = pages.items?.some(({ finishedAt, attempts }) => !finishedAt && attempts === 0);
  useInterval(waits ? FIRST_TRY_MS : LOOK_MS, pages.reload);
  const test = async () => {
    await api.post("/webhook/test");
    await pages.reload();
  };
  return html`<h3>${t("Latest messages")}</h3>
    <p><${Button} act=${test} disabled=${!webhook.enabled} testid="webhook-test">${t("Send a test")}<//></p>
    <${Listing} pages=${pages} empty=${html`<p class="muted">${t("There is none.")}</p>`}>
      <ul class="rows">
        ${pages.items?.map((one) => html`<${Delivery} key=${one.id} one=${one} reload=${pages.reload} />`)}
      </ul>
    <//>`;
}

function Delivery({ one, reload }) {
  const again = async () => {
    await api.post(`/webhook/deliveries/${one.id}/retry`);
    await reload();
  };
  const [tone, said] = endOf(one);
  return html`<li class="row" data-testid="webhook-delivery" data-state=${one.state}>
    <span class="row-main">
      <b>${one.text.split("\n")[0]}</b>
      ${one.error && html`<small class="error">${serverText(one.error)}${one.answer && `: ${one.answer}`}</small>`}
      ${one.attempts > 1 && html`<small>${t("Tried {count} times", { count: one.attempts })}</small>`}
    </span>
    <span class=${`chip ${tone}`}>${said}</span>
    <${Time} at=${one.createdAt} />
    ${one.finishedAt && one.error && html`<${Button} small act=${again} testid="webhook-again">${t("Try again")}<//>`}
  </li>`;
}
