// The runs of a task: which one is looked at, what it has used so far, and its transcript.
import { useState } from "preact/hooks";
import { to } from "../../browser/routes.mjs";
import { Badge, Time } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { api } from "../../server/api.mjs";
import { useInterval } from "../../server/loading.mjs";
import { agentName } from "../../state/actors.mjs";
import { project } from "../../state/projects.mjs";
import { Transcript } from "../../transcript/transcript.mjs";
import { t, tn } from "../../words/language.mjs";
import { dollars, integer } from "../../words/numbers.mjs";
import { serverText } from "../../words/server-texts.mjs";
import { labelOf } from "../../words/words.mjs";

const LIVE_READ_MS = 4000;

const count = (tokens) => t("{number} tokens", { number: integer(tokens) });

// What a run or a task has used: {inputTokens, cachedTokens, outputTokens, tokens, costUsd}; each may be absent.
export function Usage({ of, testid }) {
  const { inputTokens = 0, outputTokens = 0, cachedTokens = 0, costUsd = 0 } = of || {};
  const tokens = of?.tokens ?? inputTokens + cachedTokens + outputTokens;
  if (!tokens && !costUsd) return null;
  const parts = t("{input} in, {cached} from a cache, {output} out", {
    input: count(inputTokens),
    cached: count(cachedTokens),
    output: count(outputTokens),
  });
  return html`<span data-testid=${testid} title=${parts}>
    ${count(tokens)}${costUsd > 0 ? ` · ${dollars(costUsd)}` : ""}
  </span>`;
}

export function SpentOnRun({ of }) {
  if (!of?.runs || !(of.tokens || of.costUsd || of.minutes)) return null;
  return html`<span class="muted" data-testid="task-spent">
    ${t("All runs:")}${" "}
    ${of.minutes > 0 && `${t("{number} min", { number: integer(Math.ceil(of.minutes)) })} `}
    <${Usage} of=${of} />
  </span>`;
}

export const stateOf = (run) => run.outcome || run.state;

export const isReview = ({ purpose }) => purpose === "review";

// A run that reviewed another one's work says so, with its verdict.
export const ReviewMark = ({ run }) =>
  isReview(run) &&
  html`<span class="chip" data-testid="review-mark">
    ${run.verdict === "approve" ? t("Review: approves") : run.verdict ? t("Review: requests changes") : t("Review")}
  </span>`;

// A run is claimed and its usage rises without an event: while it is live, the run is read every few seconds.
function useLiveRun(run) {
  const [read, setRead] = useState(null);
  const live = run && !run.finishedAt;
  const look = async () => {
    try {
      setRead((await api.get(`/runs/${run.id}`)).run);
    } catch {
      // The task's own reading tells what is wrong.
    }
  };
  useInterval(LIVE_READ_MS, look, Boolean(live));
  return live && read?.id === run.id ? read : null;
}

// How far a run is, by whom and with what, kept fresh while it is live.
export function RunLine({ run }) {
  const read = useLiveRun(run);
  return html`
    <p class="run-line">
      <${Badge} word=${stateOf(read || run)} testid="run-state" />
      <${ReviewMark} run=${read || run} />
      ${run.agentId && html`<a href=${to.agent(run.agentId)}>${agentName(run.agentId)}</a>`}
      <${Time} at=${run.startedAt} />
      ${(run.driver || run.model) && html`<span>${[run.driver, run.model].filter(Boolean).join(" · ")}</span>`}
      <${Usage} of=${read?.usage || run.usage} testid="run-usage" />
    </p>
    ${(run.reason || run.summary) && html`<p class="summary">${serverText(run.reason || run.summary)}</p>`}
  `;
}

export function Runs({ task }) {
  const runs = [...(task.runs || [])].sort((a, b) => (a.id < b.id ? 1 : -1));
  const [chosen, setChosen] = useState(null);
  const run = runs.find(({ id }) => id === chosen) || runs[0];
  return html`<section data-testid="task-log">
    <div class="section-head">
      <h2>${t("Agent log")}</h2>
      <${SpentOnRun} of=${task.spent} />
      ${
        runs.length > 1 &&
        html`<label>
          <span class="sr">${t("Run")}</span>
          <select
            value=${run.id}
            onChange=${(event) => setChosen(event.target.value === runs[0].id ? null : event.target.value)}
          >
            ${runs.map(
              (one, at) =>
                html`<option key=${one.id} value=${one.id}>
                  ${at === 0 ? t("Latest run") : t("Run {number}", { number: runs.length - at })} ·${" "}
                  ${t("Round {number}", { number: one.round })} · ${isReview(one) ? `${t("Review")} · ` : ""}
                  ${labelOf(stateOf(one))}
                </option>`,
            )}
          </select>
        </label>`
      }
    </div>
    ${
      run
        ? html`
          <${RunLine} run=${run} />
          <${Transcript} key=${run.id} taskId=${task.id} runId=${run.id} />
        `
        : html`<p class="muted">${waitsForText(task)}</p>`
    }
  </section>`;
}

export function waitsForText({ state, dependsOn, requiredCapabilities: needs }) {
  if (state !== "backlog" && state !== "in_progress") return t("No agent has worked on it.");
  const most = project.value?.maxParallelTasks;
  return [
    t("No agent has started yet. It waits for a free agent."),
    needs?.length && t("It needs one that has {needs}.", { needs: needs.join(", ") }),
    dependsOn?.length && t("It waits for the tasks it depends on."),
    most && tn(most, "This project allows {count} task at once.", "This project allows {count} tasks at once."),
  ]
    .filter(Boolean)
    .join(" ");
}
