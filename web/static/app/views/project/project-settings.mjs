// A project's settings, its members, and its end.
import { useEffect, useRef, useState } from "preact/hooks";
import { go } from "../../browser/routes.mjs";
import { toastError, toastSuccess } from "../../browser/toasts.mjs";
import { Avatar } from "../../components/avatar.mjs";
import { Badge, Button, CloneAddress, Empty, LoadError, Loading, Page, Time } from "../../components/controls.mjs";
import { Confirm } from "../../components/dialogs.mjs";
import { html } from "../../components/html.mjs";
import { FieldForm, SelectField, TextField } from "../../forms/fields.mjs";
import { FormEnd, FormError, RestoredDraftNotice, useForm } from "../../forms/form.mjs";
import { useSharedForm } from "../../forms/shared-form.mjs";
import { api } from "../../server/api.mjs";
import { readAll, useLiveEvents, useRead } from "../../server/loading.mjs";
import { hasRole } from "../../server/session.mjs";
import { loadProjects, project, storeProject } from "../../state/projects.mjs";
import { t, th } from "../../words/language.mjs";
import { serverText } from "../../words/server-texts.mjs";
import { roleOptions } from "../administration/admin.mjs";
import { ForbiddenPathsToday } from "./forbidden-paths.mjs";
import { MoreFields, NEVER_STORED, NO_SECRETS, projectBody, projectDraft, RunFields } from "./project-form.mjs";

export function ProjectSettings() {
  const { value, error, reload } = useRead(`/projects/${project.value.id}`);
  const [ending, setEnding] = useState(false);
  useLiveEvents(({ event }) => event === "project:status_changed", reload);
  const one = value?.project;
  if (error && !one) return html`<${Page} title=${t("Settings")}><${LoadError} error=${error} again=${reload} /><//>`;
  if (!one) return html`<${Loading} />`;
  const status = project.value.status || one.status;
  const retry = async () => storeProject((await api.post(`/projects/${one.id}/retry`)).project);
  const remove = async () => {
    await api.remove(`/projects/${one.id}`);
    toastSuccess(t("The project is being deleted."));
    await loadProjects();
    go("#/");
  };
  return html`<${Page}
    title=${html`${one.name} <${Badge} word=${status} testid="project-status" />`}
    lead=${t("Settings take effect with the next deployment.")}
    actions=${
      status === "failed" && hasRole("maintainer") && html`<${Button} kind="primary" act=${retry}>${t("Try again")}<//>`
    }
  >
    ${
      one.error &&
      html`<p class="banner bad">
        ${
          status === "failed"
            ? t("It could not be set up: {error}", { error: serverText(one.error) })
            : serverText(one.error)
        }
      </p>`
    }
    <dl class="facts">
      <dt>${t("Repository")}</dt>
      <dd><${CloneAddress} url=${one.giteaRepoUrl} /></dd>
      <dt>${t("Namespace")}</dt>
      <dd><code>${one.k8sNamespace}</code></dd>
      <dt>${t("Default branch")}</dt>
      <dd><code>${one.defaultBranch}</code></dd>
      <dt>${t("Direct pushes")}</dt>
      <dd data-testid="project-direct-push">
        <span>
          ${
            one.allowDirectPush
              ? th(
                  "Maintainers may push to {branch}, past proof and approval, but never by force. " +
                    "The audit has each push.",
                  { branch: html`<code>${one.defaultBranch}</code>` },
                )
              : th("Nobody pushes to {branch}, but for a first push into a new project: work comes by tasks.", {
                  branch: html`<code>${one.defaultBranch}</code>`,
                })
          }
        </span>
      </dd>
      <dt>${t("Created")}</dt>
      <dd><${Time} at=${one.createdAt} /></dd>
    </dl>
    ${
      hasRole("maintainer")
        ? html`
          <${Form} key=${one.id} of=${one} saved=${reload} />
          <${ForbiddenPathsToday}
            key=${JSON.stringify(one.forbiddenPaths)}
            id=${one.id}
            patterns=${one.forbiddenPaths || []}
          />
          <${Members} id=${one.id} restricted=${one.restricted} />
          <section class="danger-zone">
            <h2>${t("Delete")}</h2>
            <p class="muted">${t("Removes its repository, previews, staging and production, and every task.")}</p>
            <button type="button" class="button danger" data-testid="project-delete" onClick=${() => setEnding(true)}>
              ${t("Delete project…")}
            </button>
          </section>
        `
        : html`<${Empty} title=${t("Only maintainers change these")}>${t("Ask a maintainer or an admin.")}<//>`
    }
    ${
      ending &&
      html`<${Confirm}
        title=${t("Delete {name}?", { name: one.name })}
        verb=${t("Delete for good")}
        typed=${one.name}
        testid="project-delete-confirm"
        act=${remove}
        close=${() => setEnding(false)}
      >
        ${t("Its repository, its deployments and everything written in it go. This can't be undone.")}
      <//>`
    }
  <//>`;
}

function Form({ of, saved }) {
  const { form, fields, submit } = useSharedForm({
    now: of,
    draftOf: projectDraft,
    read: async () => (await api.get(`/projects/${of.id}`)).project,
    keepAs: `settings.${of.id}`,
    unkept: NEVER_STORED,
  });
  const send = async (draft, before) => {
    const body = projectBody({ ...draft, importUrl: "", defaultBranch: before.defaultBranch }, before);
    if (!Object.keys(body).length) return toastSuccess(t("Nothing has changed."));
    const reply = await api.patch(`/projects/${of.id}`, body);
    storeProject(reply.project);
    return { ...draft, ...NO_SECRETS };
  };
  const save = submit(send, async () => {
    for (const [name, value] of Object.entries(NO_SECRETS)) form.change(name, value);
    toastSuccess(t("Saved."));
    await saved();
  });
  const secrets = Array.isArray(of.secretEnvVars) ? of.secretEnvVars : Object.keys(of.secretEnvVars || {});
  return html`<section>
    <h2>${t("Settings")}</h2>
    <${FieldForm} of=${fields} class="sheet" onSubmit=${save}>
      <${RestoredDraftNotice} form=${form} />
      <${TextField} label=${t("Name")} name="name" required maxlength="100" />
      <${TextField} label=${t("Description")} name="description" rows="2" />
      <${RunFields} form=${fields} />
      <${MoreFields} form=${fields} secrets=${secrets} isUnreadable=${of.envVars === null} />
      <${FormEnd} form=${form} testid="project-save">${t("Save")}<//>
    <//>
  </section>`;
}

// Nobody is an admin of one project.
const memberRoles = () => roleOptions().slice(0, -1);
const byName = (a, b) => a.username.localeCompare(b.username);

function Members({ id, restricted }) {
  const { value, error, reload } = useRead(`/projects/${id}/members`);
  useLiveEvents(({ event, projectId }) => event === "project:member_changed" && projectId === id, reload);
  // Only an admin may list the users; a maintainer names one by id.
  const [users, setUsers] = useState([]);
  useEffect(() => {
    if (hasRole("admin")) readAll("/users", "users").then((all) => setUsers(all.sort(byName)), toastError);
  }, []);
  const form = useForm({ userId: "", role: "member" });
  const add = form.submit(async ({ userId, role }) => {
    await api.put(`/projects/${id}/members/${encodeURIComponent(userId.trim())}`, { role });
    form.reset();
    await reload();
  });
  const members = value?.members || [];
  const others = users.filter((one) => !members.some(({ userId }) => userId === one.id));
  // One after the other: with the keyboard a choice passes others on its way.
  const given = useRef(Promise.resolve());
  const give = (userId) => (event) => {
    const role = event.target.value;
    given.current = given.current
      .then(() => api.put(`/projects/${id}/members/${userId}`, { role }))
      .then(() => toastSuccess(t("Saved.")), toastError)
      .then(reload);
  };
  const drop = (userId) => async () => {
    await api.remove(`/projects/${id}/members/${userId}`);
    await reload();
  };
  return html`<section>
    <h2>${t("Members")}</h2>
    <p class="muted">
      ${
        restricted
          ? t("Only these and admins see this project.")
          : t("Everybody sees this project. A member's role here counts when it is restricted.")
      }
    </p>
    ${
      error
        ? html`<${LoadError} error=${error} again=${reload} />`
        : !value
          ? html`<${Loading} />`
          : html`
            <ul class="rows">
              ${members.map(
                (one) =>
                  html`<li key=${one.userId} class="row">
                    <${Avatar} of=${one.username} />
                    <span class="row-main"><b>${one.username}</b></span>
                    <select aria-label=${t("Role of {username}", one)} value=${one.role} onChange=${give(one.userId)}>
                      ${memberRoles().map(([role, text]) => html`<option key=${role} value=${role}>${text}</option>`)}
                    </select>
                    <${Button} small kind="ghost" act=${drop(one.userId)}>${t("Remove")}<//>
                  </li>`,
              )}
            </ul>
            <${FieldForm} of=${form} class="inline" onSubmit=${add}>
              ${
                hasRole("admin")
                  ? html`<${SelectField}
                    label=${t("User")}
                    name="userId"
                    required
                    options=${[["", t("Choose…")], ...others.map((one) => [one.id, one.username])]}
                  />`
                  : html`<${TextField} label=${t("User id")} name="userId" required />`
              }
              <${SelectField} label=${t("Role")} name="role" options=${memberRoles()} />
              <button class="button" disabled=${form.busy || !form.draft.userId}>${t("Add")}</button>
            <//>
            <${FormError} form=${form} />
          `
    }
  </section>`;
}
