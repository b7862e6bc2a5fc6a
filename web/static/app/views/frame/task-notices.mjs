// What happens to tasks while somebody looks elsewhere, told at the edge of the page.
import { to } from "../../browser/routes.mjs";
import { toastError, toastProblem, toastSuccess, toastWarning } from "../../browser/toasts.mjs";
import { isParked, parkedText } from "../../components/parked-task.mjs";
import { capOwnerText, usageText } from "../../forms/spending-caps.mjs";
import { api } from "../../server/api.mjs";
import { project } from "../../state/projects.mjs";
import { t } from "../../words/language.mjs";
import { loadServerTexts, serverText } from "../../words/server-texts.mjs";
import { shortened, withShortShas } from "../../words/words.mjs";

const PLATFORM = "platform";
const MOST_REASON = 300;

// A task was parked, or goes on: which of the two is read, as is what the task is called.
async function tellOfParking({ projectId, data }) {
  const { task } = await api.get(`/tasks/${data.taskId}`);
  const link = { href: to.task(projectId, task.id), text: t("Open") };
  if (isParked(task))
    toastWarning(t("“{title}”: {parked}.", { title: task.title, parked: parkedText(task.parked) }), link);
  else if (task.state === "in_progress") toastSuccess(t("“{title}” goes on.", { title: task.title }), link);
}

async function tellOfFailure({ projectId, data }) {
  const { task } = await api.get(`/tasks/${data.taskId}`);
  if (task.state !== "failed") return;
  await loadServerTexts();
  const link = { href: to.task(projectId, task.id), text: t("Open") };
  const reason = shortened(withShortShas(serverText(task.error) || t("no reason was given")), MOST_REASON);
  toastProblem(t("“{title}” failed: {reason}", { title: task.title, reason }), link);
}

function tellOfCap({ projectId, data }) {
  const link = data.taskId ? { href: to.task(projectId, data.taskId), text: t("Open") } : null;
  const whose = data.scope === "task" ? t("A task") : capOwnerText(data);
  toastWarning(t("{whose} has used {use}.", { whose, use: usageText(data) }), link);
}

// For `listen`: takes what is of the project that is looked at, or of the platform.
export function showNotice(message) {
  const { event, projectId, data } = message;
  if (projectId !== PLATFORM && projectId !== project.value?.id) return;
  if (event === "spend:warning") tellOfCap(message);
  // Gone by now, or not for this person to see: nothing to tell.
  const unlessGone = (error) => error.status !== 404 && toastError(error);
  // The files of a new task are there: its phase stays, and nobody has to know.
  const isParking = ["phase", "parked"].every((name) => data.changed?.includes(name));
  if (event === "task:updated" && isParking) tellOfParking(message).catch(unlessGone);
  if (event === "task:status_changed" && data.newState === "failed") tellOfFailure(message).catch(unlessGone);
}
