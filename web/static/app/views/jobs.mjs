// The platform's own work: what is waiting, running or has failed, and starting a failed job again.
import { useState } from "preact/hooks";
import { api } from "../api.mjs";
import { html } from "../html.mjs";
import { useLive, usePages } from "../loading.mjs";
import { Badge, Button, Empty, Listing, Page, Time } from "../parts/controls.mjs";
import { may } from "../session.mjs";
import { say, shortId } from "../words.mjs";

const STATES = ["", "queued", "running", "failed", "done", "cancelled"];

export function Jobs() {
  const [state, setState] = useState("");
  const pages = usePages("/jobs", "jobs", { state });
  useLive(({ event }) => !event.startsWith("task:log") && event !== "task:progress", pages.reload);
  const retry = (id) => async () => {
    await api.post(`/jobs/${id}/retry`);
    await pages.reload();
  };
  const actions = html`<label><span class="sr">State</span><select value=${state} data-testid="jobs-state" onChange=${(event) => setState(event.target.value)}>${STATES.map((one) => html`<option key=${one} value=${one}>${one ? say(one) : "Every state"}</option>`)}</select></label><${Button} act=${pages.reload}>Read again<//>`;
  return html`<${Page} title="Jobs" lead="What the platform does behind the scenes. A failed one waits here for a person." actions=${actions}>
    <${Listing} pages=${pages} empty=${html`<${Empty} title=${state ? `No ${state} jobs` : "No jobs yet"}>They appear when projects, tasks and groups need something done.<//>`}>
      <ul class="rows">${pages.items?.map((job) => html`<li key=${job.id} class="row" data-testid="job-row" data-job-id=${job.id}><${Badge} word=${job.state} />
        <span class="row-main"><span><b>${job.kind}</b> <code title=${job.subjectId}>${shortId(job.subjectId)}</code></span>
          ${job.error ? html`<small class="bad-text">${job.error}</small>` : job.progress?.message && html`<small>${job.progress.message}</small>`}
          ${job.state === "running" && job.progress?.total > 0 && html`<progress max=${job.progress.total} value=${job.progress.done}></progress>`}</span>
        <span class="muted">${job.attempts} ${job.attempts === 1 ? "attempt" : "attempts"}</span><${Time} at=${job.finishedAt || job.startedAt || job.createdAt} />
        ${job.state === "failed" && may("maintainer") && html`<${Button} small act=${retry(job.id)} testid="job-retry">Try again<//>`}</li>`)}</ul><//><//>`;
}
