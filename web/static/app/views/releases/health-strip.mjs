// How healthy an environment was over the last day: a block for each span of looks, nothing where nobody looked.
import { html } from "../../components/html.mjs";
import { t, tn } from "../../words/language.mjs";
import { serverText } from "../../words/server-texts.mjs";
import { clockTime, currentTime, relativeTime } from "../../words/words.mjs";

const DAY_MS = 86_400_000;
const WIDTH = 1000;
const LEAST = 3; // So that a short failure can be seen.
const TONES = { healthy: "good", starting: "busy", failing: "bad" };

const STATES = {
  healthy: () => t("Healthy"),
  starting: () => t("Starting"),
  failing: () => t("Failing"),
};

// spans: [{deploymentId, state, reason, restarts, since, until}], oldest first.
export function HealthStrip({ spans, testid }) {
  const end = Math.max(currentTime.value, Date.now());
  const begin = end - DAY_MS;
  const x = (at) => ((Math.max(Date.parse(at), begin) - begin) / DAY_MS) * WIDTH;
  const newest = spans.at(-1);
  return html`<figure class="health" data-testid=${testid}>
    <svg viewBox=${`0 0 ${WIDTH} 20`} preserveAspectRatio="none" role="img" aria-label=${summary(spans, begin)}>
      ${spans.map(
        (span) =>
          html`<rect
            key=${span.since}
            class=${TONES[span.state]}
            x=${Math.min(x(span.since), WIDTH - LEAST)}
            width=${Math.max(LEAST, x(span.until) - x(span.since))}
            y="0"
            height="20"
          >
            <title>${sayOf(span)}</title>
          </rect>`,
      )}
      ${restartsOf(spans).map(
        (span) =>
          html`<rect key=${`r${span.since}`} class="ask" x=${x(span.since)} width=${LEAST} y="0" height="20" />`,
      )}
    </svg>
    <figcaption>
      <span>${t("24 hours")}</span>
      ${
        newest &&
        newest.state !== "healthy" &&
        newest.reason &&
        html`<span class=${newest.state === "failing" ? "bad-text" : null}>${serverText(newest.reason)}</span>`
      }
      <span>
        ${
          newest
            ? t("{state}, looked at {time}", { state: STATES[newest.state](), time: relativeTime(newest.until) })
            : t("Not looked at yet")
        }
      </span>
    </figcaption>
  </figure>`;
}

const sayOf = (span) =>
  [`${clockTime(span.since)} – ${clockTime(span.until)}`, STATES[span.state](), serverText(span.reason)]
    .filter(Boolean)
    .join(" · ");

// Those at whose beginning the process of the same version had been restarted again.
const restartsOf = (spans) =>
  spans.filter(
    (span, index) =>
      index > 0 && spans[index - 1].deploymentId === span.deploymentId && spans[index - 1].restarts < span.restarts,
  );

function summary(spans, begin) {
  const length = ({ since, until }) => Math.max(1000, Date.parse(until) - Math.max(Date.parse(since), begin));
  const sum = (among) => among.reduce((all, span) => all + length(span), 0);
  const all = sum(spans);
  if (!all) return t("Health of the last 24 hours: nobody has looked yet");
  const share = Math.floor((sum(spans.filter(({ state }) => state === "healthy")) / all) * 1000) / 10;
  return [
    t("Health of the last 24 hours: healthy for {share} % of the time that was looked at", { share }),
    tn(restartsOf(spans).length, "{count} restart", "{count} restarts"),
  ].join(", ");
}
