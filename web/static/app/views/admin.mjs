// Users and enrolment tokens: for admins. Nobody can lock themselves out here without being asked.
import { useState } from "preact/hooks";
import { api } from "../api.mjs";
import { html } from "../html.mjs";
import { t } from "../language.mjs";
import { usePages } from "../loading.mjs";
import { Avatar } from "../parts/avatar.mjs";
import {
  Button,
  CheckField,
  Empty,
  Fault,
  Listing,
  New,
  Page,
  SelectField,
  TextField,
  Time,
  useForm,
} from "../parts/controls.mjs";
import { Confirm, Dialog } from "../parts/dialogs.mjs";
import { lazy } from "../parts/lazy.mjs";
import { route } from "../routes.mjs";
import { may, user } from "../session.mjs";
import { ROLES } from "../states.mjs";
import { told } from "../toasts.mjs";
import { say } from "../words.mjs";
import { lastUse, sayEnd, Secret } from "./account.mjs";

const Section = ({ children }) => html`<section>${children}</section>`;
const AdministrationActivity = lazy(() => import("./activity.mjs"), "AdministrationActivity");
const Webhook = lazy(() => import("./webhook.mjs"), "Webhook", Section);

export const roleOptions = () => ROLES.map((one) => [one, say(one)]);

export function Admin() {
  if (!may("admin"))
    return html`<${Page} title=${t("Users")}>
      <${ForAdmins} />
    <//>`;
  return route.value.id === "activity" ? html`<${AdministrationActivity} />` : html`<${Users} />`;
}

export const ForAdmins = () =>
  html`<${Empty} title=${t("For admins")}>
    ${t("Your role is {role}. An admin can change it.", { role: say(user.value.role) })}
  <//>`;

function Users() {
  const pages = usePages("/users", "users");
  const [adding, setAdding] = useState(false);
  const [editing, setEditing] = useState(null);
  const [removing, setRemoving] = useState(null);
  const actions = html`
    <a class="button" href="#/admin/activity" data-testid="admin-activity">${t("Activity")}</a>
    <${New} testid="user-new" open=${() => setAdding(true)}>${t("New user")}<//>
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
              <span class="chip">${say(one.role)}</span>
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
    ${editing && html`<${UserForm} of=${editing} close=${() => setEditing(null)} reload=${pages.reload} />`}
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

function UserForm({ of, close, reload }) {
  const form = useForm({
    username: of?.username || "",
    password: "",
    role: of?.role || "member",
    isActive: of?.isActive ?? true,
  });
  const save = form.submit(async ({ username, password, role, isActive }) => {
    if (of)
      await api.patch(`/users/${of.id}`, {
        ...(password && { password }),
        ...(role !== of.role && { role }),
        ...(isActive !== (of.isActive ?? true) && { isActive }),
      });
    else await api.post("/users", { username: username.trim(), password, role });
    told(of ? t("Saved.") : t("User added."));
    await reload();
    close();
  });
  return html`<${Dialog} title=${of ? t("Edit {username}", { username: of.username }) : t("New user")} close=${close}>
    <form onSubmit=${save}>
      ${
        !of &&
        html`<${TextField}
          label=${t("Username")}
          name="username"
          form=${form}
          testid="user-username"
          required
          autocapitalize="none"
        />`
      }
      <${TextField}
        label=${of ? t("New password") : t("Password")}
        name="password"
        type="password"
        form=${form}
        testid="user-password"
        required=${!of}
        autocomplete="new-password"
        hint=${of ? t("Empty: it stays.") : null}
      />
      <${SelectField} label=${t("Role")} name="role" form=${form} options=${roleOptions()} testid="user-role" />
      ${
        of &&
        of.id !== user.value.id &&
        html`<${CheckField}
          label=${t("Active")}
          hint=${t("Without it nobody can sign in as this user; their sessions end at once.")}
          name="isActive"
          form=${form}
        />`
      }
      <${Fault} form=${form} />
      <footer>
        <button type="button" class="button" onClick=${close}>${t("Cancel")}</button>
        <button class="button primary" data-testid="user-save" disabled=${form.busy}>${t("Save")}</button>
      </footer>
    </form>
  <//>`;
}

function Enrolment() {
  const [token, setToken] = useState(null);
  const [ending, setEnding] = useState(null);
  const pages = usePages("/enrolment-tokens", "enrolmentTokens");
  const make = async () => {
    setToken((await api.post("/agents/enrolment-tokens")).enrolmentToken);
    await pages.reload();
  };
  return html`<section>
    <h2>${t("Enrolment of agents")}</h2>
    <p class="muted">${t("An agent on another machine registers with an enrolment token. It is shown once.")}</p>
    <p><${Button} act=${make} testid="enrolment-new">${t("Make an enrolment token")}<//></p>
    ${token && html`<${Secret} value=${token.token} expiresAt=${token.expiresAt} />`}
    <${Listing} pages=${pages} empty=${html`<p class="muted">${t("There is none.")}</p>`}>
      <ul class="rows">
        ${pages.items?.map(
          (one) =>
            html`<li key=${one.id} class="row" data-testid="enrolment-row">
              <span class="row-main">
                <b>${t("Made by {name}", { name: one.createdBy })}</b><small>${lastUse(one)}</small>
              </span>
              <${Time} at=${one.createdAt} />
              <span class="muted">${sayEnd(one)}</span>
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
