// What the models cost: sums of the recorded calls, day by day and grouped as chosen, and as CSV.
import { useMemo, useState } from "preact/hooks";
import { to } from "../../browser/routes.mjs";
import { Button, classNames, Empty, LoadError, Loading, Page } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { saveFile } from "../../forms/choose-files.mjs";
import { api } from "../../server/api.mjs";
import { useInterval, useRead } from "../../server/loading.mjs";
import { hasRole } from "../../server/session.mjs";
import { projects } from "../../state/projects.mjs";
import { mark, t, tn, tPairs } from "../../words/language.mjs";
import { compactNumber, dollars, integer } from "../../words/numbers.mjs";
import { currentTime } from "../../words/words.mjs";
import { DailyBarChart, dayText } from "./bar-chart.mjs";
import { PlatformCaps } from "./platform-caps.mjs";

const GROUPS = [
  ["day", mark("By day"), mark("Day")],
  ["project", mark("By project"), mark("Project")],
  ["person", mark("By person"), mark("Person")],
  ["driver", mark("By driver"), mark("Driver")],
  ["model", mark("By model"), mark("Model")],
];
const PERIODS = [
  ["7", mark("Last 7 days")],
  ["30", mark("Last 30 days")],
  ["90", mark("Last 90 days")],
  ["month", mark("This month")],
  ["last-month", mark("Last month")],
  ["dates", mark("From … to …")],
];
const MEASURES = [
  ["costUsd", mark("Cost")],
  ["tokens", mark("Tokens")],
];
const MOST_SERIES = 5;
const DAY_MS = 86_400_000;
// No event tells of a call.
const LOOK_MS = 10_000;

// Days are those of UTC, as the server counts them.
const dayOf = (time) => new Date(time).toISOString().slice(0, 10);

// {from, to}: the first and the last day.
function daysOf(period, typed, time) {
  if (period === "dates") return typed;
  const date = new Date(time);
  const first = (months) => Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months, 1);
  if (period === "month") return { from: dayOf(first(0)), to: dayOf(time) };
  if (period === "last-month") return { from: dayOf(first(-1)), to: dayOf(first(0) - DAY_MS) };
  return { from: dayOf(time - (Number(period) - 1) * DAY_MS), to: dayOf(time) };
}

// Every day of the period, also those without a call. until: the moment after the last one.
function eachDay(since, until) {
  const days = [];
  for (let time = Date.parse(`${since.slice(0, 10)}T00:00:00Z`); time < Date.parse(until); time += DAY_MS)
    days.push(dayOf(time));
  return days;
}

export function Spend() {
  const [by, setBy] = useState("project");
  const [projectId, setProjectId] = useState("");
  const [period, setPeriod] = useState("30");
  const [typed, setTyped] = useState({ from: "", to: "" });
  const [measure, setMeasure] = useState(null);
  const query = { projectId, ...daysOf(period, typed, currentTime.value) };
  const isSplit = by !== "day";
  const perDay = useRead("/spend", { ...query, by: "day", split: isSplit ? by : "" });
  const grouped = useRead(isSplit ? "/spend" : null, { ...query, by });
  const { value, error, reload } = isSplit ? grouped : perDay;
  const days = perDay.value;
  useInterval(LOOK_MS, () => Promise.all([grouped.reload(), perDay.reload()]));
  const choose = (set) => (event) => set(event.target.value);
  const save = (wanted, name) => async () => saveFile(await api.blob("/spend", { ...wanted, format: "csv" }), name);
  const total = days?.total || {};
  const shown = measure ?? (total.costUsd > 0 || !total.tokens ? "costUsd" : "tokens");
  const span = `${query.from || "start"}-to-${query.to || "now"}`;
  return html`<${Page}
    title=${t("Spend")}
    lead=${t("What agents used of the models, as the gateway counted it. Days are those of UTC.")}
    actions=${html`
      <${Choice}
        label=${t("Period")}
        value=${period}
        choose=${choose(setPeriod)}
        options=${tPairs(PERIODS)}
        testid="spend-period"
      />
      ${
        period === "dates" &&
        html`
          <${Day} label=${t("From")} value=${typed.from} set=${(from) => setTyped({ ...typed, from })} />
          <${Day} label=${t("To")} value=${typed.to} set=${(until) => setTyped({ ...typed, to: until })} />
        `
      }
      <${Choice}
        label=${t("Project")}
        value=${projectId}
        choose=${choose(setProjectId)}
        options=${[["", t("Every project")], ...(projects.value || []).map((one) => [one.id, one.name])]}
      />
      <${Choice}
        label=${t("Grouped by")}
        value=${by}
        choose=${choose(setBy)}
        options=${tPairs(GROUPS)}
        testid="spend-by"
      />
    `}
  >
    ${
      (error || perDay.error) && !(value && days)
        ? html`<${LoadError} error=${error || perDay.error} again=${() => Promise.all([reload(), perDay.reload()])} />`
        : !value || !days
          ? html`<${Loading} />`
          : !total.calls
            ? html`<${Empty} title=${t("Nothing was used in this time.")}>
              ${t("Agents call models through the gateway of this platform; each call is counted here.")}
            <//>`
            : html`
              <${Cards} total=${total} />
              <section>
                <div class="section-head">
                  <h2>${t("Per day")}</h2>
                  <span class="actions">
                    <${Choice}
                      label=${t("Shown")}
                      value=${shown}
                      choose=${choose(setMeasure)}
                      options=${tPairs(MEASURES)}
                      testid="spend-measure"
                    />
                    <${Button}
                      small
                      testid="spend-csv-days"
                      act=${save({ ...query, by: "day", split: isSplit ? by : "" }, `spend-per-day-${span}.csv`)}
                    >
                      ${t("Days as CSV")}
                    <//>
                  </span>
                </div>
                <${Chart} days=${days} measure=${shown} />
              </section>
              <section>
                <div class="section-head">
                  <h2>${t(GROUPS.find(([name]) => name === by)[1])}</h2>
                  <${Button} small testid="spend-csv" act=${save({ ...query, by }, `spend-by-${by}-${span}.csv`)}>
                    ${t("Table as CSV")}
                  <//>
                </div>
                <${Table} rows=${value.groups} by=${by} total=${total} measure=${shown} />
                <${Remarks} total=${total} cut=${value.isCut || days.isCut} />
              </section>
            `
    }
    ${hasRole("admin") && html`<${PlatformCaps} />`}
  <//>`;
}

const Choice = ({ label, value, choose, options, testid }) =>
  html`<label>
    <span class="sr">${label}</span>
    <select value=${value} data-testid=${testid} onChange=${choose}>
      ${options.map(([name, text]) => html`<option key=${name} value=${name}>${text}</option>`)}
    </select>
  </label>`;

const Day = ({ label, value, set }) =>
  html`<label class="dates">
    <span class="sr">${label}</span>
    <input type="date" value=${value} onInput=${(event) => set(event.target.value)} />
  </label>`;

const share = (part, all) => `${Math.round((100 * part) / all)} %`;

function Cards({ total }) {
  const { costUsd, tokens, cachedTokens, calls, failedCalls, runs, tasks } = total;
  const cards = [
    [t("Cost"), dollars(costUsd), tasks > 0 && t("{cost} a task", { cost: dollars(costUsd / tasks) })],
    [
      t("Tokens"),
      compactNumber(tokens),
      tokens > 0 && t("{share} from a cache", { share: share(cachedTokens, tokens) }),
    ],
    [
      t("Calls"),
      integer(calls),
      failedCalls > 0 ? t("{calls} without a whole answer", { calls: integer(failedCalls) }) : t("All answered"),
    ],
    [t("Tasks"), integer(tasks), tn(runs, "{runs} run", "{runs} runs", { runs: integer(runs) })],
  ];
  return html`<dl class="cards-row" data-testid="spend-cards">
    ${cards.map(
      ([name, figure, small]) =>
        html`<div key=${name} class="figure-card">
          <dt>${name}</dt>
          <dd>${figure}</dd>
          ${small && html`<dd class="muted">${small}</dd>`}
        </div>`,
    )}
  </dl>`;
}

// What the bars are made of: the groups that used most, and all others together.
function seriesOf(days, measure) {
  const sums = new Map();
  for (const { key, label, [measure]: value } of days.parts || []) {
    const known = sums.get(key) || { key, label: label || t("None"), sum: 0 };
    sums.set(key, { ...known, sum: known.sum + value });
  }
  const all = [...sums.values()].sort((a, b) => b.sum - a.sum);
  const named = all.slice(0, all.length > MOST_SERIES + 1 ? MOST_SERIES : MOST_SERIES + 1);
  const series = named.map((one, at) => ({ ...one, tone: `series-${at + 1}` }));
  if (series.length < all.length)
    series.push({ key: null, label: t("{count} others", { count: all.length - series.length }), tone: "rest" });
  return series.length ? series : [{ key: null, label: t("All"), tone: "series-1" }];
}

function Chart({ days, measure }) {
  const [series, bars] = useMemo(() => {
    const found = seriesOf(days, measure);
    const byDay = new Map(days.groups.map((one) => [one.key, one[measure]]));
    const parts = new Map((days.parts || []).map((one) => [`${one.day} ${one.key}`, one[measure]]));
    const rows = eachDay(days.from, days.to).map((day) => {
      const total = byDay.get(day) || 0;
      const named = found.filter(({ key }) => key !== null).map(({ key }) => parts.get(`${day} ${key}`) || 0);
      const rest = Math.max(0, total - named.reduce((sum, one) => sum + one, 0));
      return { day, total, values: named.length < found.length ? [...named, rest] : named };
    });
    return [found, rows];
  }, [days, measure]);
  const span = { first: dayText(bars[0].day), last: dayText(bars.at(-1).day) };
  const title =
    measure === "tokens" ? t("Tokens per day, {first} to {last}", span) : t("Cost per day, {first} to {last}", span);
  const say = measure === "tokens" ? compactNumber : dollars;
  return html`<${DailyBarChart} title=${title} days=${bars} series=${series} say=${say} testid="spend-chart" />`;
}

function Table({ rows, by, total, measure }) {
  const ordered = by === "day" ? [...rows].reverse() : rows;
  const most = Math.max(...rows.map((row) => row[measure]));
  const line = (row, name) => html`
    <th scope="row">${name}</th>
    <td class="figure">${dollars(row.costUsd)}</td>
    <td class="figure" title=${integer(row.tokens)}>${compactNumber(row.tokens)}</td>
    <td class="figure">${integer(row.calls)}</td>
    <td class="figure">${integer(row.runs)}</td>
  `;
  const name = (row) =>
    by === "project" ? html`<a href=${to.project(row.key)}>${row.label}</a>` : row.label || t("None");
  return html`<div class="table-wrap">
    <table data-testid="spend">
      <thead>
        <tr>
          <th scope="col">${t(GROUPS.find(([one]) => one === by)[2])}</th>
          <th scope="col" class="figure">${t("Cost")}</th>
          <th scope="col" class="figure">${t("Tokens")}</th>
          <th scope="col" class="figure">${t("Calls")}</th>
          <th scope="col" class="figure">${t("Runs")}</th>
          <th scope="col"><span class="sr">${t("Share")}</span></th>
        </tr>
      </thead>
      <tbody>
        ${ordered.map(
          (row) =>
            html`<tr key=${row.key} data-testid="spend-row" data-key=${row.key}>
              ${line(row, name(row))}
              <td class=${classNames("share")}>
                <progress max=${most || 1} value=${row[measure] || 0} aria-hidden="true"></progress>
              </td>
            </tr>`,
        )}
      </tbody>
      <tfoot>
        <tr data-testid="spend-total">${line(total, t("Total"))}<td></td></tr>
      </tfoot>
    </table>
  </div>`;
}

function Remarks({ total, cut }) {
  const unpriced = total.unpricedCalls || 0;
  return html`
    ${cut && html`<p class="muted">${t("Only the most expensive are listed; the total has all.")}</p>`}
    ${
      unpriced > 0 &&
      html`<p class="banner ask" data-testid="spend-unpriced">
        ${tn(
          unpriced,
          "{calls} call used a model without a known price: it counts as tokens and not as cost. " +
            "An admin can give prices under Models.",
          "{calls} calls used models without a known price: they count as tokens and not as cost. " +
            "An admin can give prices under Models.",
          { calls: integer(unpriced) },
        )}
      </p>`
    }
  `;
}
