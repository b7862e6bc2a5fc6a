// Where there is no project yet: three ways to the first one, and how to connect a model.
import { go, to } from "../../browser/routes.mjs";
import { Button, CopyText, Empty, Page } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { lazy, NoPlaceholder } from "../../components/lazy.mjs";
import { FieldForm, TextField } from "../../forms/fields.mjs";
import { FormError, useForm } from "../../forms/form.mjs";
import { api } from "../../server/api.mjs";
import { hasPlatformRole, hasRole } from "../../server/session.mjs";
import { storeProject } from "../../state/projects.mjs";
import { t } from "../../words/language.mjs";
import { ConnectModel } from "../models/connect-model.mjs";

// For administrators of a platform with a Gitea.
const ForgeRepositories = lazy(() => import("../project/forge-repositories.mjs"), "ForgeRepositories", NoPlaceholder);

const shown = (project) => {
  storeProject(project);
  go(to.project(project.id));
};

// What a repository is called: …/team/web-shop.git → web-shop
const nameOf = (address) =>
  address
    .trim()
    .replace(/\/+$/, "")
    .replace(/\.git$/, "")
    .split(/[/:]/)
    .pop();

export function Welcome() {
  if (!hasPlatformRole("maintainer"))
    return html`<${Page} title=${t("Welcome")}>
      <${Empty} title=${t("No project yet")}>
        ${t("You see a project here as soon as a maintainer creates one, or makes you its member.")}
      <//>
    <//>`;
  return html`<${Page}
    title=${t("Welcome")}
    lead=${t("A project is one repository with its tasks, previews, staging and production.")}
  >
    <div class="ways">
      <${Sample} />
      <${Import} />
      <${Blank} />
    </div>
    <${ConnectModel} />
  <//>`;
}

function Sample() {
  const create = async () => shown((await api.post("/projects/sample")).project);
  return html`<section class="way" data-testid="way-sample">
    <h2>${t("Try the sample")}</h2>
    <p>
      ${t(
        "A small page with tests, and three tasks: one is good, one asks you, one conflicts. " +
          "No model and no key needed.",
      )}
    </p>
    <footer><${Button} kind="primary" testid="sample-create" act=${create}>${t("Try the sample")}<//></footer>
  </section>`;
}

function Import() {
  const form = useForm({ importUrl: "" });
  const submit = form.submit(async ({ importUrl }) =>
    shown((await api.post("/projects", { name: nameOf(importUrl), importUrl: importUrl.trim() })).project),
  );
  const choose = ({ url }) => form.change("importUrl", url);
  return html`<${FieldForm} of=${form} class="way" onSubmit=${submit} data-testid="way-import">
    <h2>${t("Import")}</h2>
    <${TextField}
      label=${t("Address of a git repository")}
      name="importUrl"
      type="url"
      testid="import-url"
      required
      placeholder="https://…"
    />
    ${hasRole("admin") && html`<${ForgeRepositories} chosen=${form.draft.importUrl} onChoose=${choose} />`}
    <${FormError} form=${form} />
    <div>
      <small>${t("Or from this machine, in the repository's folder:")}</small>
      <p class="secret"><${CopyText} text="aiworker project import ." testid="import-line" /></p>
    </div>
    <footer><button class="button" data-testid="import-create" disabled=${form.busy}>${t("Import")}</button></footer>
  <//>`;
}

function Blank() {
  const form = useForm({ name: "" });
  const submit = form.submit(async ({ name }) =>
    shown((await api.post("/projects", { name: name.trim(), starter: "page" })).project),
  );
  return html`<${FieldForm} of=${form} class="way" onSubmit=${submit} data-testid="way-blank">
    <h2>${t("Start blank")}</h2>
    <p>${t("A page, its server and its test: there is something to run and to test from the first task on.")}</p>
    <${TextField}
      label=${t("Name")}
      name="name"
      testid="blank-name"
      required
      maxlength="100"
      placeholder=${t("Web shop")}
    />
    <${FormError} form=${form} />
    <footer>
      <a href="#/projects/new">${t("More settings")}</a>
      <button class="button" data-testid="blank-create" disabled=${form.busy}>${t("Create")}</button>
    </footer>
  <//>`;
}
