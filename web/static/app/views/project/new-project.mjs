// Making a project: a name is enough, everything else has a default.
import { go, to } from "../../browser/routes.mjs";
import { Empty, Page } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { lazy, NoPlaceholder } from "../../components/lazy.mjs";
import { FieldForm, SelectField, TextField } from "../../forms/fields.mjs";
import { FormError, RestoredDraftNotice, useForm } from "../../forms/form.mjs";
import { api } from "../../server/api.mjs";
import { hasPlatformRole, hasRole, user } from "../../server/session.mjs";
import { storeProject } from "../../state/projects.mjs";
import { t } from "../../words/language.mjs";
import { labelOf } from "../../words/words.mjs";
import { MoreFields, NEVER_STORED, projectBody, projectDraft, RunFields } from "./project-form.mjs";

// For administrators of a platform with a Gitea.
const ForgeRepositories = lazy(() => import("./forge-repositories.mjs"), "ForgeRepositories", NoPlaceholder);

export function NewProject() {
  if (hasPlatformRole("maintainer")) return html`<${Form} />`;
  return html`<${Page} title=${t("New project")}>
    <${Empty} title=${t("Only maintainers make projects")}>
      ${t("Your role is {role}. An admin can change it.", { role: labelOf(user.value.role) })}
    <//>
  <//>`;
}

function Form() {
  const form = useForm({ ...projectDraft(), starter: "page" }, "new-project", NEVER_STORED);
  const create = form.submit(async ({ starter, ...draft }) => {
    // It has no secret variables that could stay.
    const body = projectBody({ ...draft, dropsSecrets: draft.secretEnvVars.trim() !== "" }, projectDraft());
    if (starter && !body.importUrl) body.starter = starter;
    const { project } = await api.post("/projects", body);
    storeProject(project);
    go(to.project(project.id));
  });
  const choose = ({ name, url, defaultBranch }) => {
    form.change("importUrl", url);
    form.change("defaultBranch", defaultBranch);
    if (!form.draft.name.trim()) form.change("name", name.split("/").pop());
  };
  const lead = html`
    ${t("One repository with its tasks, previews, staging and production.")}${" "}
    <a href="#/welcome">${t("Try the sample, or import from this machine")}</a>
  `;
  return html`<${Page} title=${t("New project")} lead=${lead}>
    <${FieldForm} of=${form} class="sheet" onSubmit=${create}>
      <${RestoredDraftNotice} form=${form} />
      <${TextField}
        label=${t("Name")}
        name="name"
        testid="project-name"
        required
        maxlength="100"
        placeholder=${t("Web shop")}
      />
      <${TextField} label=${t("Description")} name="description" testid="project-description" rows="2" />
      ${hasRole("admin") && html`<${ForgeRepositories} chosen=${form.draft.importUrl} onChoose=${choose} />`}
      <div class="pair">
        <${TextField}
          label=${t("Import from")}
          name="importUrl"
          type="url"
          testid="project-import-url"
          placeholder=${t("Address of a git repository")}
          hint=${t("Starts from its branches. Empty: a new repository.")}
        />
        <${TextField}
          label=${t("Default branch")}
          name="defaultBranch"
          testid="project-default-branch"
          placeholder="main"
        />
      </div>
      ${
        !form.draft.importUrl.trim() &&
        html`<${SelectField}
          label=${t("Start with")}
          name="starter"
          testid="project-starter"
          options=${[
            ["page", t("A page, its server and its test, in Python")],
            ["", t("A README.md alone")],
          ]}
          hint=${t("What to start and what to test come with the page, unless you say it below.")}
        />`
      }
      <${RunFields} form=${form} />
      <details><summary>${t("More")}</summary><${MoreFields} form=${form} /></details>
      <${FormError} form=${form} />
      <footer>
        <a class="button" href="#/" onClick=${() => form.reset()}>${t("Cancel")}</a>
        <button class="button primary" data-testid="project-create" disabled=${form.busy}>
          ${t("Create project")}
        </button>
      </footer>
    <//>
  <//>`;
}
