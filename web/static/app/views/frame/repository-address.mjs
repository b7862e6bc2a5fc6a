// Where an address of the platform's own forge leads: to the project of the repository, or to a pull request's task.
import { useEffect, useState } from "preact/hooks";
import { to } from "../../browser/routes.mjs";
import { Empty, LoadError, Loading, Page } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { api } from "../../server/api.mjs";
import { projects } from "../../state/projects.mjs";
import { t } from "../../words/language.mjs";

async function taskOf(projectId, pull) {
  let cursor;
  do {
    const reply = await api.get("/tasks", { projectId, limit: 200, cursor });
    const found = reply.tasks.find(({ prNumber }) => prNumber === pull);
    if (found) return found;
    cursor = reply.nextCursor;
  } while (cursor);
  return null;
}

export function RepositoryAddress({ place, pull }) {
  const [state, setState] = useState({ error: null, missing: false });
  const one = projects.value.find(({ giteaRepoUrl }) => giteaRepoUrl?.endsWith(`/git/${place}`));
  const find = async () => {
    setState({ error: null, missing: false });
    try {
      if (!one) return setState({ error: null, missing: true });
      const task = pull && (await taskOf(one.id, pull));
      if (pull && !task) return setState({ error: null, missing: true });
      // Replaced, so that going back doesn't lead here again.
      return location.replace(task ? to.task(one.id, task.id) : to.project(one.id));
    } catch (error) {
      return setState({ error, missing: false });
    }
  };
  useEffect(() => {
    find();
  }, [place, pull, one?.id]);
  if (state.error)
    return html`<${Page} title=${t("Repository")}><${LoadError} error=${state.error} again=${find} /><//>`;
  if (!state.missing) return html`<${Loading} />`;
  return html`<${Page} title=${t("Not found")}>
    <${Empty} title=${pull ? t("There is no such pull request") : t("There is no such repository")}>
      ${t("It was deleted, or you may not see it.")}
    <//>
  <//>`;
}
