// Stacked bars, one for each day, drawn as SVG. The figures are in a table beside it; here they are said day by day.
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { html } from "../../components/html.mjs";
import { intl, t } from "../../words/language.mjs";

const HEIGHT = 200;
const AXIS = { left: 58, bottom: 22, top: 8 };
const STEP_PX = 64; // The least space between two dates below the bars.

// A round number that is at least `most`, and how far apart the lines behind the bars are.
function scaleOf(most) {
  if (!(most > 0)) return { top: 1, step: 1 };
  const rough = most / 3;
  const ten = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * ten).find((one) => one >= rough * 0.999);
  return { top: Math.ceil(most / step - 1e-9) * step, step };
}

function useWidth() {
  const box = useRef();
  const [width, setWidth] = useState(640);
  useEffect(() => {
    const watch = new ResizeObserver(([{ contentRect }]) => setWidth(Math.max(240, Math.round(contentRect.width))));
    watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  return [box, width];
}

const MONTH_DAY = { month: "short", day: "numeric", timeZone: "UTC" };
export const dayText = (day) => intl("DateTimeFormat", MONTH_DAY).format(new Date(`${day}T00:00:00Z`));

// days: [{day, total, values}], values in the order of `series`: [{key, label, tone}]. say(value): for people.
// Arrow keys choose a day, as the pointer does; what was used on it is said below the bars.
export function DailyBarChart({ title, days, series, say, testid }) {
  const [box, width] = useWidth();
  const [at, setAt] = useState(null);
  const id = useId();
  const { top, step } = scaleOf(Math.max(0, ...days.map(({ total }) => total)));
  const plot = { width: width - AXIS.left - 4, height: HEIGHT - AXIS.top - AXIS.bottom };
  const slot = plot.width / days.length;
  const bar = Math.max(1, Math.min(44, slot * 0.72));
  const y = (value) => AXIS.top + plot.height * (1 - value / top);
  const x = (index) => AXIS.left + slot * (index + 0.5) - bar / 2;
  const every = Math.max(1, Math.ceil(STEP_PX / slot));
  const lines = Array.from({ length: Math.round(top / step) + 1 }, (_, index) => index * step);
  const chosen = at === null ? null : days[Math.min(at, days.length - 1)];
  const pressed = (event) => {
    const last = days.length - 1;
    const now = at ?? (event.key === "ArrowLeft" ? last + 1 : -1);
    const next = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: last }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    setAt(Math.max(0, Math.min(last, next)));
  };
  const pointed = ({ clientX }) => {
    const { left } = box.current.getBoundingClientRect();
    const index = Math.floor((clientX - left - AXIS.left) / slot);
    setAt(index >= 0 && index < days.length ? index : null);
  };
  return html`<figure class="chart" data-testid=${testid}>
    <div
      ref=${box}
      class="chart-box"
      role="group"
      tabindex="0"
      aria-label=${t("{title}. Arrow keys choose a day.", { title })}
      aria-describedby=${id}
      onKeyDown=${pressed}
      onPointerMove=${pointed}
      onPointerLeave=${() => setAt(null)}
      onBlur=${() => setAt(null)}
    >
      <svg width=${width} height=${HEIGHT} viewBox=${`0 0 ${width} ${HEIGHT}`} role="img" aria-label=${title}>
        <title>${title}</title>
        ${lines.map(
          (value) =>
            html`<g key=${value} class="chart-line">
              <line x1=${AXIS.left} x2=${width} y1=${y(value)} y2=${y(value)} />
              <text x=${AXIS.left - 8} y=${y(value) + 4} text-anchor="end">${say(value)}</text>
            </g>`,
        )}
        ${
          chosen &&
          html`<rect
            class="chart-at"
            x=${AXIS.left + slot * days.indexOf(chosen)}
            y=${AXIS.top}
            width=${slot}
            height=${plot.height}
          />`
        }
        ${days.map((one, index) => html`<${Bar} key=${one.day} ...${{ one, series, bar, y, left: x(index) }} />`)}
        ${days.map(
          ({ day }, index) =>
            (days.length - 1 - index) % every === 0 &&
            html`<text key=${day} class="chart-day" x=${labelAt(x(index) + bar / 2, width)} y=${HEIGHT - 6}>
              ${dayText(day)}
            </text>`,
        )}
      </svg>
    </div>
    <figcaption>
      <p id=${id} class="chart-said" role="status">
        ${chosen ? html`<${Said} one=${chosen} series=${series} say=${say} />` : ""}
      </p>
      ${
        series.length > 1 &&
        html`<ul class="legend">
          ${series.map(({ key, label, tone }) => html`<li key=${key}><i class=${tone}></i>${label}</li>`)}
        </ul>`
      }
    </figcaption>
  </figure>`;
}

// A date keeps away from the edge that would cut it.
const labelAt = (middle, width) => Math.min(middle, width - 20);

function Bar({ one, series, bar, y, left }) {
  let sum = 0;
  return one.values.map((value, index) => {
    if (!(value > 0)) return null;
    const from = y(sum);
    sum += value;
    return html`<rect
      key=${series[index].key}
      class=${`chart-bar ${series[index].tone}`}
      x=${left}
      y=${y(sum)}
      width=${bar}
      height=${Math.max(0.5, from - y(sum))}
    />`;
  });
}

function Said({ one, series, say }) {
  const parts = one.values
    .map((value, index) => [value, series[index].label])
    .filter(([value]) => value > 0)
    .map(([value, label]) => `${label} ${say(value)}`);
  const rest = series.length > 1 && parts.length > 0 ? `: ${parts.join(" · ")}` : "";
  return html`<b>${dayText(one.day)}</b> ${say(one.total)}${rest}`;
}
