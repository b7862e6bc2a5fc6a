// The caller's own password and API tokens. A token's text is shown once, right after it was made, and kept nowhere.
import { useState } from "preact/hooks";
import { toastSuccess } from "../../browser/toasts.mjs";
import { AddButton, CopyText, Empty, Listing, Page, Time } from "../../components/controls.mjs";
import { Confirm, Dialog } from "../../components/dialogs.mjs";
import { html } from "../../components/html.mjs";
import { FieldForm, SelectField, TextField } from "../../forms/fields.mjs";
import { FormEnd, useForm } from "../../forms/form.mjs";
import { api, replaceLogin } from "../../server/api.mjs";
import { useInterval, usePages } from "../../server/loading.mjs";
import { user } from "../../server/session.mjs";
import { t, th } from "../../words/language.mjs";
import { ROLES } from "../../words/states.mjs";
import { fullTime, labelOf } from "../../words/words.mjs";
import { LanguageChoice, SchemeChoice } from "./appearance.mjs";
import { Sessions } from "./sessions.mjs";

// No event tells what another window changes.
const LOOK_MS = 20_000;

export function OneTimeSecret({ value, expiresAt }) {
  return html`<div class="callout ask" data-testid="secret">
    <p class="callout-head">${t("Keep this now: it isn't shown again.")}</p>
    <p class="secret">
      <${CopyText} text=${value} kind="" />
    </p>
    ${expiresAt && html`<p class="muted">${t("Good until {time}.", { time: fullTime(expiresAt) })}</p>`}
  </div>`;
}

export function Account() {
  const pages = usePages("/tokens", "tokens");
  useInterval(LOOK_MS, pages.reload);
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState(null);
  const [ending, setEnding] = useState(null);
  // Of the password: each ends all sessions but a new one.
  const [changes, setChanges] = useState(0);
  const actions = html`<${AddButton} testid="token-new" open=${() => setMaking(true)}>${t("New token")}<//>`;
  return html`<${Page}
    title=${t("Account")}
    lead=${t("Yours, for scripts and for git. A token does what its role may do, never more than you.")}
    actions=${actions}
  >
    ${made && html`<${OneTimeSecret} value=${made.token} expiresAt=${made.expiresAt} />`}
    <${Listing}
      pages=${pages}
      empty=${html`<${Empty} title=${t("No tokens")}>
        ${th("Make one to call the API from a script, or as the password for {command}.", {
          command: html`<code>git clone</code>`,
        })}
      <//>`}
    >
      <ul class="rows">
        ${pages.items?.map(
          (one) =>
            html`<li key=${one.id} class="row">
              <span class="row-main">
                <b>${one.name}</b>
                <small>
                  ${lastUseText(one)}${
                    one.parentId && t(", made with {token}", { token: nameOf(pages.items, one.parentId) })
                  }
                </small>
              </span>
              <span class="chip">${labelOf(one.role)}</span>
              <span class="muted">${expiryText(one)}</span>
              <button type="button" class="button small ghost" onClick=${() => setEnding(one)}>${t("Revoke")}</button>
            </li>`,
        )}
      </ul>
    <//>
    ${
      making &&
      html`<${NewToken}
        close=${() => setMaking(false)}
        done=${(token) => {
          setMade(token);
          setMaking(false);
          pages.reload();
        }}
      />`
    }
    ${
      ending &&
      html`<${Confirm}
        title=${t("Revoke {name}?", { name: ending.name })}
        verb=${t("Revoke")}
        act=${async () => {
          await api.remove(`/tokens/${ending.id}`);
          if (made?.id === ending.id) setMade(null);
          await pages.reload();
        }}
        close=${() => setEnding(null)}
      >
        ${t("Whatever uses it is refused from now on, and so is every token that was made with it.")}
      <//>`
    }
    <${Password}
      done=${() => {
        setChanges(changes + 1);
        return pages.reload();
      }}
    />
    <${Sessions} key=${changes} />
    <section>
      <h2>${t("Appearance")}</h2>
      <div class="pair"><${LanguageChoice} /><${SchemeChoice} /></div>
    </section>
  <//>`;
}

export const lastUseText = (one) =>
  one.lastUsedAt ? th("Last used {time}", { time: html`<${Time} at=${one.lastUsedAt} />` }) : t("Never used");
export const expiryText = ({ expiresAt }) =>
  expiresAt ? t("Until {time}", { time: fullTime(expiresAt) }) : t("Doesn't expire");

const nameOf = (items, id) => items.find((one) => one.id === id)?.name || t("another token");

function Password({ done }) {
  const form = useForm({ current: "", new: "" });
  const change = form.submit(async (values) => {
    await replaceLogin("/auth/password", values);
    toastSuccess(t("Password changed."));
    form.reset();
    await done();
  });
  return html`<section>
    <h2>${t("Password")}</h2>
    <p class="muted">${t("A new password ends your other sessions and every token of yours.")}</p>
    <${FieldForm} of=${form} onSubmit=${change} data-testid="password-form">
      <div class="pair">
        <${TextField}
          label=${t("Present password")}
          name="current"
          type="password"
          required
          autocomplete="current-password"
          testid="password-current"
        />
        <${TextField}
          label=${t("New password")}
          name="new"
          type="password"
          required
          autocomplete="new-password"
          testid="password-new"
        />
      </div>
      <${FormEnd} form=${form} kind="" testid="password-change">${t("Change password")}<//>
    <//>
  </section>`;
}

function NewToken({ close, done }) {
  const form = useForm({ name: "", role: user.value.role, expires: "" });
  const create = form.submit(async ({ name, role, expires }) => {
    const body = { name: name.trim(), role };
    if (expires) body.expiresAt = new Date(`${expires}T23:59:59`).toISOString();
    done((await api.post("/tokens", body)).token);
  });
  const options = ROLES.slice(0, ROLES.indexOf(user.value.role) + 1).map((one) => [one, labelOf(one)]);
  return html`<${Dialog} title=${t("New API token")} close=${close}>
    <${FieldForm} of=${form} onSubmit=${create}>
      <${TextField}
        label=${t("Name")}
        name="name"
        required
        maxlength="100"
        placeholder=${t("Nightly script")}
        testid="token-name"
      />
      <div class="pair">
        <${SelectField} label=${t("Role")} name="role" options=${options} />
        <${TextField} label=${t("Expires")} name="expires" type="date" hint=${t("Empty: in a year.")} />
      </div>
      <${FormEnd} form=${form} cancel=${close} testid="token-create">${t("Create token")}<//>
    <//>
  <//>`;
}
