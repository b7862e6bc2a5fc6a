// The platform's own work: what is waiting, running or has failed, and starting a failed job again.
import { useState } from "preact/hooks";
import { Badge, Button, Empty, Listing, Page, Time } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { api } from "../../server/api.mjs";
import { useInterval, useLiveEvents, usePages } from "../../server/loading.mjs";
import { hasPlatformRole } from "../../server/session.mjs";
import { project } from "../../state/projects.mjs";
import { t, tn } from "../../words/language.mjs";
import { serverText } from "../../words/server-texts.mjs";
import { JOB_STATES } from "../../words/states.mjs";
import { labelOf, shortId } from "../../words/words.mjs";

const STATES = ["", ...JOB_STATES];
// No event tells that a job begins, or how it ends.
const LOOK_MS = 10_000;
const isLive = ({ state }) => ["queued", "running"].includes(state);

// What the platform does over and over, once: the newest of a kind that is done, and how many there were.
function folded(jobs) {
  const rows = new Map();
  for (const job of jobs) {
    const key = job.state === "done" && job.subjectId === "platform" ? job.kind : job.id;
    const row = rows.get(key);
    if (row) row.times += 1;
    else rows.set(key, { job, times: 1 });
  }
  return [...rows.values()];
}

export function Jobs() {
  const [state, setState] = useState("");
  const [everywhere, setEverywhere] = useState(false);
  const projectId = everywhere ? undefined : project.value?.id;
  const pages = usePages("/jobs", "jobs", { state, projectId });
  useLiveEvents(({ event }) => !event.startsWith("task:log") && event !== "task:progress", pages.reload);
  useInterval(LOOK_MS, pages.reload, Boolean(pages.items?.some(isLive)));
  const retry = (id) => async () => {
    await api.post(`/jobs/${id}/retry`);
    await pages.reload();
  };
  const actions = html`
    ${
      project.value &&
      html`<label>
        <span class="sr">${t("Of what")}</span>
        <select
          value=${everywhere ? "all" : "one"}
          data-testid="jobs-scope"
          onChange=${(event) => setEverywhere(event.target.value === "all")}
        >
          <option value="one">${project.value.name}</option>
          <option value="all">${t("Everything")}</option>
        </select>
      </label>`
    }
    <label>
      <span class="sr">${t("State")}</span>
      <select value=${state} data-testid="jobs-state" onChange=${(event) => setState(event.target.value)}>
        ${STATES.map((one) => html`<option key=${one} value=${one}>${one ? labelOf(one) : t("Every state")}</option>`)}
      </select>
    </label>
    <${Button} act=${pages.reload}>${t("Read again")}<//>
  `;
  return html`<${Page}
    title=${t("Jobs")}
    lead=${t("What the platform does behind the scenes. A failed one waits here for a person.")}
    actions=${actions}
  >
    <${Listing}
      pages=${pages}
      empty=${html`<${Empty} title=${state ? t("No jobs in this state") : t("No jobs yet")}>
        ${t("They appear when projects, tasks and groups need something done.")}
      <//>`}
    >
      <ul class="rows">
        ${folded(pages.items || []).map(
          ({ job, times }) =>
            html`<li key=${job.id} class="row" data-testid="job-row" data-job-id=${job.id}>
              <${Badge} word=${job.state} />
              <span class="row-main">
                <span>
                  <b>${job.kind}</b> <code title=${job.subjectId}>${shortId(job.subjectId)}</code>
                  ${times > 1 && html` <span class="muted">${t("{times} times", { times })}</span>`}
                </span>
                ${
                  job.error
                    ? html`<small class="bad-text">${serverText(job.error)}</small>`
                    : job.progress?.message && html`<small>${serverText(job.progress.message)}</small>`
                }
                ${
                  job.state === "running" &&
                  job.progress?.total > 0 &&
                  html`<progress max=${job.progress.total} value=${job.progress.done}></progress>`
                }
              </span>
              ${
                job.attempts > 0 &&
                html`<span class="muted">${tn(job.attempts, "{count} attempt", "{count} attempts")}</span>`
              }
              <${Time} at=${job.finishedAt || job.startedAt || job.createdAt} />
              ${
                job.state === "failed" &&
                hasPlatformRole("maintainer") &&
                html`<${Button} small act=${retry(job.id)} testid="job-retry">${t("Try again")}<//>`
              }
            </li>`,
        )}
      </ul>
    <//>
  <//>`;
}
