// Making a project: a name is enough, everything else has a default.
import { api } from "../api.mjs";
import { html } from "../html.mjs";
import { Fault, Page, TextField, useForm } from "../parts/controls.mjs";
import { keepProject } from "../projects.mjs";
import { go, to } from "../routes.mjs";
import { bodyOf, draftOf, MoreFields, RunFields } from "./project-form.mjs";

export function NewProject() {
  const form = useForm(draftOf());
  const create = form.submit(async (draft) => {
    const { project } = await api.post("/projects", bodyOf(draft, draftOf()));
    keepProject(project);
    go(to.project(project.id));
  });
  return html`<${Page} title="New project" lead="One repository with its tasks, previews, staging and production.">
    <form class="sheet" onSubmit=${create}>
      <${TextField}
        label="Name"
        name="name"
        form=${form}
        testid="project-name"
        required
        maxlength="100"
        placeholder="Web shop"
      />
      <${TextField} label="Description" name="description" form=${form} testid="project-description" rows="2" />
      <div class="pair">
        <${TextField}
          label="Import from"
          name="importUrl"
          type="url"
          form=${form}
          testid="project-import-url"
          placeholder="Address of a git repository"
          hint="Starts from its branches. Empty: a new, empty repository."
        />
        <${TextField}
          label="Default branch"
          name="defaultBranch"
          form=${form}
          testid="project-default-branch"
          placeholder="main"
        />
      </div>
      <${RunFields} form=${form} />
      <details><summary>More</summary><${MoreFields} form=${form} /></details>
      <${Fault} form=${form} />
      <footer>
        <a class="button" href="#/">Cancel</a>
        <button class="button primary" data-testid="project-create" disabled=${form.busy}>Create project</button>
      </footer>
    </form>
  <//>`;
}
