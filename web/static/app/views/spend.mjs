// What the models cost: sums of the recorded calls, grouped as chosen, with a bar for each, and as CSV.
import { useState } from "preact/hooks";
import { api } from "../api.mjs";
import { html } from "../html.mjs";
import { useRead } from "../loading.mjs";
import { Button, Loading, Page, Trouble } from "../parts/controls.mjs";
import { saveAs } from "../parts/files.mjs";
import { projects } from "../projects.mjs";

const GROUPS = [
  ["day", "By day"],
  ["project", "By project"],
  ["person", "By person"],
  ["driver", "By driver"],
  ["model", "By model"],
];
const rowsOf = (reply) => reply?.groups || [];
const dollars = (cost) => `$${(cost ?? 0).toFixed(2)}`;

export function Spend() {
  const [by, setBy] = useState("day");
  const [projectId, setProjectId] = useState("");
  const [from, setFrom] = useState("");
  const [until, setUntil] = useState("");
  // Days are those of UTC, as the server counts them.
  const query = { by, projectId, from, to: until };
  const { value, error, reload } = useRead("/spend", query);
  const rows = rowsOf(value);
  const save = async () => saveAs(await api.blob("/spend", { ...query, format: "csv" }), `spend-by-${by}.csv`);
  const choose = (set) => (event) => set(event.target.value);
  const actions = html`
    <label>
      <span class="sr">Grouped by</span>
      <select value=${by} data-testid="spend-by" onChange=${choose(setBy)}>
        ${GROUPS.map(([name, text]) => html`<option key=${name} value=${name}>${text}</option>`)}
      </select>
    </label>
    <label>
      <span class="sr">Project</span>
      <select value=${projectId} onChange=${choose(setProjectId)}>
        <option value="">Every project</option>
        ${projects.value?.map((one) => html`<option key=${one.id} value=${one.id}>${one.name}</option>`)}
      </select>
    </label>
    <${Day} label="From" value=${from} set=${setFrom} />
    <${Day} label="To" value=${until} set=${setUntil} />
    <${Button} disabled=${!rows.length} testid="spend-csv" act=${save}>CSV<//>
  `;
  return html`<${Page}
    title="Spend"
    lead="What agents used of the models, counted by the gateway. Without dates: the last 30 days."
    actions=${actions}
  >
    ${
      error && !value
        ? html`<${Trouble} error=${error} again=${reload} />`
        : !value
          ? html`<${Loading} />`
          : html`<${Table} rows=${rows} total=${value.total || {}} cut=${value.isCut} />`
    }
  <//>`;
}

const Day = ({ label, value, set }) =>
  html`<label class="dates">
    <span class="sr">${label}</span>
    <input type="date" value=${value} onInput=${(event) => set(event.target.value)} />
  </label>`;

function Table({ rows, total, cut }) {
  if (!rows.length) return html`<p class="nothing muted">Nothing was used in this time.</p>`;
  const most = Math.max(...rows.map(({ costUsd = 0 }) => costUsd));
  const unpriced = total.unpricedCalls || 0;
  const line = (row, name) => html`
    <td>${name}</td>
    <td class="figure">${dollars(row.costUsd)}</td>
    <td class="figure">${(row.tokens ?? 0).toLocaleString()}</td>
    <td class="figure">${(row.calls ?? 0).toLocaleString()}</td>
  `;
  return html`
    <div class="table-wrap">
      <table data-testid="spend">
        <thead>
          <tr>
            <th></th>
            <th class="figure">Cost</th>
            <th class="figure">Tokens</th>
            <th class="figure">Calls</th>
            <th><span class="sr">Share</span></th>
          </tr>
        </thead>
        <tbody>
          ${rows.map(
            (row) =>
              html`<tr key=${row.key} data-testid="spend-row">
                ${line(row, row.label || row.key || "None")}
                <td><progress max=${most || 1} value=${row.costUsd || 0} aria-hidden="true"></progress></td>
              </tr>`,
          )}
        </tbody>
        <tfoot><tr data-testid="spend-total">${line(total, html`<b>Total</b>`)}<td></td></tr></tfoot>
      </table>
    </div>
    ${cut && html`<p class="muted">Only the most expensive are listed; the total has all.</p>`}
    ${
      unpriced > 0 &&
      html`<p class="banner ask">
        ${unpriced.toLocaleString()} ${unpriced === 1 ? "call used a model" : "calls used models"} without a known
        price: they count as tokens and not as cost. An admin can give prices under Models.
      </p>`
    }
  `;
}
