// One task on a page of its own, in three tabs: its review, the work on it, and all that is on record of it.
import { useKeyDown } from "../../browser/keyboard.mjs";
import { boardQuery, go, TASK_TABS, to, withQuery } from "../../browser/routes.mjs";
import { LoadError, Loading } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { TaskFilesProvider } from "../../components/pasted-pictures.mjs";
import { project } from "../../state/projects.mjs";
import { t } from "../../words/language.mjs";
import { shortId } from "../../words/words.mjs";
import { TaskReview } from "../review/task-review.mjs";
import { TaskWork } from "../task-work/task-work.mjs";
import { TaskDetails } from "./task-details.mjs";
import { TaskHead, useTask } from "./task-head.mjs";

const BODIES = { review: TaskReview, work: TaskWork, details: TaskDetails };
const names = () => ({ review: t("Review"), work: t("Work"), details: t("Details") });

export function TaskTabs({ id, tab }) {
  const { task, error, reload } = useTask(id);
  const { id: projectId } = project.value;
  const panel = withQuery(to.task(projectId, id), boardQuery(projectId));
  useKeyDown((event) => {
    if (event.key === "Escape" && !event.target.closest("input,textarea,select,dialog")) go(panel);
  });
  return html`<main class="page task-page" id="main">
    <nav class="crumbs" aria-label=${t("Where this task is")}>
      <a href=${panel} data-testid="task-board">${t("Board")}</a> <span class="muted">${shortId(id)}</span>
    </nav>
    ${
      task
        ? html`<${TaskFilesProvider} of=${task}><${Tabs} task=${task} reload=${reload} tab=${tab} /><//>`
        : error
          ? html`<${LoadError} error=${error} again=${reload} />`
          : html`<${Loading} />`
    }
  </main>`;
}

function Tabs({ task, reload, tab }) {
  const Body = BODIES[tab];
  return html`
    <${TaskHead} task=${task} reload=${reload} title=${task.title} />
    <nav class="tabs" aria-label=${t("Parts of this task")}>
      ${TASK_TABS.map(
        (one) =>
          html`<a
            key=${one}
            href=${to.taskPage(task, one)}
            aria-current=${one === tab ? "page" : undefined}
            data-testid=${`task-tab-${one}`}
          >
            ${names()[one]}
          </a>`,
      )}
    </nav>
    <div class="tab-body"><${Body} task=${task} reload=${reload} /></div>
  `;
}
