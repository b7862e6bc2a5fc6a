// Users and enrolment tokens: for admins. Nobody can lock themselves out here without being asked.
import { useEffect, useState } from "preact/hooks";
import { route } from "../../browser/routes.mjs";
import { toastSuccess } from "../../browser/toasts.mjs";
import { Avatar } from "../../components/avatar.mjs";
import { AddButton, Button, Empty, Listing, Page, Time } from "../../components/controls.mjs";
import { Confirm, Dialog } from "../../components/dialogs.mjs";
import { html } from "../../components/html.mjs";
import { lazy } from "../../components/lazy.mjs";
import { CheckField, FieldForm, SelectField, TextField } from "../../forms/fields.mjs";
import { FormEnd, RestoredDraftNotice } from "../../forms/form.mjs";
import { useSharedForm } from "../../forms/shared-form.mjs";
import { api } from "../../server/api.mjs";
import { ADMINISTRATION_FEED, watchProject } from "../../server/live-events.mjs";
import { readAll, useLiveEvents, usePages } from "../../server/loading.mjs";
import { hasRole, user } from "../../server/session.mjs";
import { actorName } from "../../state/actors.mjs";
import { t } from "../../words/language.mjs";
import { ROLES } from "../../words/states.mjs";
import { labelOf } from "../../words/words.mjs";
import { expiryText, lastUseText, OneTimeSecret } from "../account/account.mjs";

const Section = ({ children }) => html`<section>${children}</section>`;
const AdministrationActivity = lazy(() => import("../activity/activity.mjs"), "AdministrationActivity");
const Webhook = lazy(() => import("./webhook.mjs"), "Webhook", Section);

export const roleOptions = () => ROLES.map((one) => [one, labelOf(one)]);

export function Admin() {
  if (!hasRole("admin"))
    return html`<${Page} title=${t("Users")}>
      <${ForAdmins} />
    <//>`;
  return route.value.id === "activity" ? html`<${AdministrationActivity} />` : html`<${Users} />`;
}

export const ForAdmins = () =>
  html`<${Empty} title=${t("For admins")}>
    ${t("Your role is {role}. An admin can change it.", { role: labelOf(user.value.role) })}
  <//>`;

function Users() {
  const pages = usePages("/users", "users");
  const [adding, setAdding] = useState(false);
  const [editing, setEditing] = useState(null);
  const [removing, setRemoving] = useState(null);
  useEffect(() => watchProject(ADMINISTRATION_FEED), []);
  useLiveEvents(({ event }) => event === "user:changed", pages.reload);
  const edited = editing && (pages.items?.find(({ id }) => id === editing.id) ?? editing);
  const actions = html`
    <a class="button" href="#/admin/activity" data-testid="admin-activity">${t("Activity")}</a>
    <${AddButton} testid="user-new" open=${() => setAdding(true)}>${t("New user")}<//>
  `;
  return html`<${Page}
    title=${t("Users and enrolment")}
    lead=${t(
      "Viewers read; members write tasks and answer; maintainers approve and deliver; admins also manage users.",
    )}
    actions=${actions}
  >
    <${Listing}
      pages=${pages}
      empty=${html`<${Empty} title=${t("Nobody else yet")}>${t("Add the people who shall work with the agents.")}<//>`}
    >
      <ul class="rows">
        ${pages.items?.map(
          (one) =>
            html`<li key=${one.id} class="row" data-testid="user-row">
              <${Avatar} of=${one.username} />
              <span class="row-main"><b>${one.username}</b></span>
              ${one.isActive === false && html`<span class="chip bad">${t("Inactive")}</span>`}
              <span class="chip">${labelOf(one.role)}</span>
              <${Time} at=${one.createdAt} />
              <button type="button" class="button small" onClick=${() => setEditing(one)}>${t("Edit")}</button>
              ${
                one.id !== user.value.id &&
                html`<button type="button" class="button small ghost" onClick=${() => setRemoving(one)}>
                  ${t("Remove")}
                </button>`
              }
            </li>`,
        )}
      </ul>
    <//>
    <${Enrolment} />
    <${Webhook} />
    ${adding && html`<${UserForm} close=${() => setAdding(false)} reload=${pages.reload} />`}
    ${edited && html`<${UserForm} of=${edited} close=${() => setEditing(null)} reload=${pages.reload} />`}
    ${
      removing &&
      html`<${Confirm}
        title=${t("Remove {username}?", { username: removing.username })}
        verb=${t("Remove")}
        typed=${removing.username}
        act=${async () => {
          await api.remove(`/users/${removing.id}`);
          await pages.reload();
        }}
        close=${() => setRemoving(null)}
      >
        ${t("Their sessions and API tokens end within seconds. What they did stays on record.")}
      <//>`
    }
  <//>`;
}

const NOBODY = {};
const draftOf = (of) => ({
  username: of.username ?? "",
  password: "",
  role: of.role ?? "member",
  isActive: of.isActive ?? true,
});

function UserForm({ of = NOBODY, close, reload }) {
  const isNew = !of.id;
  const { form, fields, submit } = useSharedForm({
    now: of,
    draftOf,
    read: async () => (isNew ? of : ((await readAll("/users", "users")).find(({ id }) => id === of.id) ?? of)),
    keepAs: isNew ? "new-user" : null,
    unkept: ["password"],
  });
  const send = async (draft, before) => {
    const { username, password, role, isActive } = draft;
    const changes = {
      ...(password && { password }),
      ...(role !== before.role && { role }),
      ...(isActive !== before.isActive && { isActive }),
    };
    if (isNew) await api.post("/users", { username: username.trim(), password, role });
    else if (Object.keys(changes).length) await api.patch(`/users/${of.id}`, changes);
    return draft;
  };
  const save = submit(send, async () => {
    toastSuccess(isNew ? t("User added.") : t("Saved."));
    await reload();
    close();
  });
  const cancel = () => {
    form.reset();
    close();
  };
  return html`<${Dialog} title=${isNew ? t("New user") : t("Edit {username}", of)} close=${close}>
    <${FieldForm} of=${fields} onSubmit=${save}>
      <${RestoredDraftNotice} form=${form} />
      ${
        isNew &&
        html`<${TextField}
          label=${t("Username")}
          name="username"
          testid="user-username"
          required
          autocapitalize="none"
        />`
      }
      <${TextField}
        label=${isNew ? t("Password") : t("New password")}
        name="password"
        type="password"
        testid="user-password"
        required=${isNew}
        autocomplete="new-password"
        hint=${isNew ? null : t("Empty: it stays.")}
      />
      <${SelectField} label=${t("Role")} name="role" options=${roleOptions()} testid="user-role" />
      ${
        !isNew &&
        of.id !== user.value.id &&
        html`<${CheckField}
          label=${t("Active")}
          hint=${t("Without it nobody can sign in as this user; their sessions end at once.")}
          name="isActive"
        />`
      }
      <${FormEnd} form=${form} cancel=${cancel} testid="user-save">${t("Save")}<//>
    <//>
  <//>`;
}

function Enrolment() {
  const [token, setToken] = useState(null);
  const [ending, setEnding] = useState(null);
  const pages = usePages("/enrolment-tokens", "enrolmentTokens");
  useLiveEvents(({ event }) => event === "token:changed", pages.reload);
  const make = async () => {
    setToken((await api.post("/agents/enrolment-tokens")).enrolmentToken);
    await pages.reload();
  };
  return html`<section>
    <h2>${t("Enrolment of agents")}</h2>
    <p class="muted">${t("An agent on another machine registers with an enrolment token. It is shown once.")}</p>
    <p><${Button} act=${make} testid="enrolment-new">${t("Make an enrolment token")}<//></p>
    ${token && html`<${OneTimeSecret} value=${token.token} expiresAt=${token.expiresAt} />`}
    <${Listing} pages=${pages} empty=${html`<p class="muted">${t("There is none.")}</p>`}>
      <ul class="rows">
        ${pages.items?.map(
          (one) =>
            html`<li key=${one.id} class="row" data-testid="enrolment-row">
              <span class="row-main">
                <b>${t("Made by {name}", { name: actorName(one.createdBy) })}</b><small>${lastUseText(one)}</small>
              </span>
              <${Time} at=${one.createdAt} />
              <span class="muted">${expiryText(one)}</span>
              <button type="button" class="button small ghost" onClick=${() => setEnding(one)}>${t("Revoke")}</button>
            </li>`,
        )}
      </ul>
    <//>
    ${
      ending &&
      html`<${Confirm}
        title=${t("Revoke this enrolment token?")}
        verb=${t("Revoke")}
        act=${async () => {
          await api.remove(`/enrolment-tokens/${ending.id}`);
          if (token?.id === ending.id) setToken(null);
          await pages.reload();
        }}
        close=${() => setEnding(null)}
      >
        ${t("No agent registers with it from now on. Agents that did so stay.")}
      <//>`
    }
  </section>`;
}
