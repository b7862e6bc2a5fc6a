// How a group is merged and tested: the order, who was taken out and why, and every test run with its log.
import { useState } from "preact/hooks";
import { to } from "../../browser/routes.mjs";
import { Badge, Empty, LoadError, Loading, Output, Time } from "../../components/controls.mjs";
import { Dialog } from "../../components/dialogs.mjs";
import { html } from "../../components/html.mjs";
import { useRead } from "../../server/loading.mjs";
import { project } from "../../state/projects.mjs";
import { t, tn } from "../../words/language.mjs";
import { serverText } from "../../words/server-texts.mjs";
import { shortSha, shownState, withShortShas } from "../../words/words.mjs";
import { takenOutReason } from "./release-sentences.mjs";

// removable: whether the person may take tasks out now; remove(taskId) asks for it.
export function MergeTrain({ group, train, removable, remove }) {
  const [shown, setShown] = useState(null);
  const inside = train.tasks.filter(({ removedReason }) => !removedReason);
  const out = train.tasks.filter(({ removedReason }) => removedReason);
  const runs = train.tests.filter(({ attempt }) => attempt === train.attempt);
  const lane = (position) =>
    html`<${Runs}
    runs=${runs.filter((run) => run.position === position)}
    step=${train.step?.position === position ? train.step : null}
    show=${setShown}
    train=${train}
  />`;
  return html`<section>
    <div class="section-head">
      <h2>${t("Merge and tests")}</h2>
      <${Step} train=${train} />
    </div>
    ${
      train.tasks.length > 0 && !inside.length
        ? html`<${Empty} title=${t("No task is left in it")}>
          ${t("All were taken out. They are handed back to their agents with the facts.")}
        <//>`
        : null
    }
    <ol class="rows train" data-testid="group-train">
      ${
        inside.length > 0 &&
        html`<li class="row base">
          <span class="car">0</span>
          <span class="row-main">
            <span class="muted">
              ${t("The default branch, {branch}", { branch: project.value?.defaultBranch || "main" })}
            </span>
            ${group.baseSha && html`<code>${shortSha(group.baseSha)}</code>`}
          </span>
          ${lane(0)}
        </li>`
      }
      ${inside.map(
        (one, index) =>
          html`<li key=${one.taskId} class="row" data-testid="train-task" data-task-id=${one.taskId}>
            <span class=${one.mergedSha ? "car good" : "car"}>${index + 1}</span>
            <${Car} one=${one} projectId=${group.projectId} />
            ${lane(index + 1)}
            <${Badge} word=${one.state} shown=${shownState(one)} />
            ${
              removable &&
              html`<button type="button" class="button small ghost" onClick=${() => remove(one.taskId)}>
                ${t("Take out")}
              </button>`
            }
          </li>`,
      )}
      ${out.map(
        (one) =>
          html`<li key=${one.taskId} class="row out" data-testid="train-out" data-task-id=${one.taskId}>
            <span class="car">–</span>
            <${Car} one=${one} projectId=${group.projectId} />
            <span class=${`chip ${one.removedReason === "removed" ? "" : "bad"}`}>
              ${takenOutReason(one.removedReason)}
            </span>
          </li>`,
      )}
    </ol>
    ${train.tests.length > 0 && html`<${AllRuns} train=${train} show=${setShown} />`}
    ${shown && html`<${TestLog} groupId=${group.id} test=${shown} train=${train} close=${() => setShown(null)} />`}
  </section>`;
}

function Step({ train }) {
  const { step } = train;
  if (!step) return null;
  return html`<span class="train-now" role="status"><i class="pulse"></i>${stepText(train, step)}</span>`;
}

function stepText(train, step) {
  if (step.step === "start") return t("Beginning at the default branch's head");
  if (step.step === "merge") return t("Merging “{title}”", { title: titleOf(train, step.taskId) });
  if (step.step === "statuses") return t("Waiting for the repository's own CI");
  if (step.position === null) return t("Testing");
  return t("Testing {what}, run {run}", { what: whatOf(train, step), run: step.run });
}

const titleOf = (train, id) => train.tasks.find(({ taskId }) => taskId === id)?.title || t("a task");

// The commit that a run tested: how far the train had come.
const whatOf = (train, { position, taskId }) =>
  position === 0 ? t("the default branch alone") : t("everything up to “{title}”", { title: titleOf(train, taskId) });

const Car = ({ one, projectId }) =>
  html`<a class="row-main" href=${to.task(projectId, one.taskId)}>
  <b>${one.title}</b>
  <span class="place-line">
    <code>${shortSha(one.mergedSha || one.approvedSha)}</code>
    ${
      one.laterPush &&
      html`<span class="chip" title=${t("{commit} was pushed too late and is left out", { commit: one.laterPush })}>
        ${t("Later push left out")}
      </span>`
    }
  </span>
</a>`;

// The runs of one commit as small squares; each opens its log.
const Runs = ({ runs, step, show, train }) =>
  (runs.length > 0 || step) &&
  html`<span class="runs">
    ${runs.map(
      (run, index) =>
        html`<button
          key=${run.id}
          type="button"
          class=${`run-mark ${run.passed ? "good" : "bad"}`}
          data-testid="train-run"
          data-passed=${String(run.passed)}
          aria-label=${t("Run {number} of {what}: {result}. Show its log", {
            number: index + 1,
            what: whatOf(train, run),
            result: resultOf(run),
          })}
          title=${t("Run {number}: {result}", { number: index + 1, result: resultOf(run) })}
          onClick=${() => show(run)}
        >
          ${run.passed ? "✓" : "✕"}
        </button>`,
    )}
    ${step && html`<span class="run-mark" title=${t("It runs now")}><i class="pulse"></i></span>`}
  </span>`;

const resultOf = ({ passed, isKnown }) =>
  isKnown
    ? passed
      ? t("passed, as known from an earlier group")
      : t("failed, as known from an earlier group")
    : passed
      ? t("passed")
      : t("failed");

function AllRuns({ train, show }) {
  return html`<details class="release-fold" data-testid="train-runs">
    <summary>
      ${tn(train.tests.length, "{count} test run, with its log", "All {count} test runs, with their logs")}
    </summary>
    <ol class="rows all-runs">
      ${train.tests.map(
        (run) =>
          html`<li key=${run.id} class="row">
            <span class="row-state">
              <${Badge} word=${run.passed ? "passed" : "failed"} label=${run.passed ? t("Passed") : t("Failed")} />
            </span>
            <span class="row-main">
              <span>${whatOf(train, run)}</span>
              <small>
                ${t("Build {attempt}", { attempt: run.attempt })} · <code>${shortSha(run.commitSha)}</code>
                ${run.reason && html` · ${withShortShas(serverText(run.reason))}`}
              </small>
            </span>
            <${Time} at=${run.at} />
            <button type="button" class="button small ghost" onClick=${() => show(run)}>${t("Log")}</button>
          </li>`,
      )}
    </ol>
  </details>`;
}

function TestLog({ groupId, test, train, close }) {
  const { value, error, reload } = useRead(`/task-groups/${groupId}/tests/${test.id}`);
  return html`<${Dialog} title=${t("Test of {what}", { what: whatOf(train, test) })} close=${close} wide>
    <p class="place-line">
      <${Badge} word=${test.passed ? "passed" : "failed"} label=${test.passed ? t("Passed") : t("Failed")} />
      <code>${shortSha(test.commitSha)}</code> <${Time} at=${test.at} />
      ${" "}${test.reason && html`<span>${serverText(test.reason)}</span>`}
    </p>
    ${
      error
        ? html`<${LoadError} error=${error} again=${reload} />`
        : value
          ? html`<${Output}
            lines=${value.test.log ? value.test.log.trimEnd().split("\n") : []}
            empty=${t("It has written nothing.")}
            testid="train-log"
          />`
          : html`<${Loading} />`
    }
  <//>`;
}
