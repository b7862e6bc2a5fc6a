// Caps of spending: their fields in a form, and bars that show how much of each is used.
// A cap is {costUsd?, tokens?, minutes?, runs?}; what it does not name has no bound.
import { classNames } from "../components/controls.mjs";
import { html } from "../components/html.mjs";
import { mark, t } from "../words/language.mjs";
import { dollars, integer } from "../words/numbers.mjs";
import { AmountFields, amountsDraft, amountsOf } from "./number-fields.mjs";

const NAMES = [
  ["costUsd", mark("US dollars"), "any"],
  ["tokens", mark("Tokens"), "1"],
  ["minutes", mark("Minutes"), "any"],
  ["runs", mark("Runs"), "1"],
];
const NEAR = 0.8;
const WHOSE = { task: mark("This task"), project: mark("Its project"), platform: mark("The platform") };

export const capsDraft = (prefix, caps) => amountsDraft(NAMES, prefix, caps);

// What is filled in; {} if nothing is.
export const capsOf = (draft, prefix) => amountsOf(NAMES, prefix, draft);

// What differs from `before`, with null for what was emptied; undefined if nothing does.
export function capChanges(draft, prefix, before) {
  const [fresh, old] = [capsOf(draft, prefix), capsOf(before, prefix)];
  const changed = NAMES.map(([name]) => name).filter((name) => fresh[name] !== old[name]);
  return changed.length ? Object.fromEntries(changed.map((name) => [name, fresh[name] ?? null])) : undefined;
}

// The same of several sets of caps: {set: changes}.
export function capSetChanges(sets, draft, before, prefixOf) {
  const changes = sets.map((set) => [set, capChanges(draft, prefixOf(set), before)]).filter(([, one]) => one);
  return changes.length ? Object.fromEntries(changes) : undefined;
}

export const CapFields = (props) =>
  html`<${AmountFields} names=${NAMES} layout="quad" shownEmpty=${() => t("No cap")} ...${props} />`;

const said = {
  costUsd: dollars,
  tokens: integer,
  minutes: (value) => t("{minutes} min", { minutes: integer(Math.ceil(value)) }),
  runs: integer,
};
const OF = {
  costUsd: mark("{used} of {limit}"),
  tokens: mark("{used} of {limit} tokens"),
  minutes: mark("{used} of {limit}"),
  runs: mark("{used} of {limit} runs"),
};
export const amountText = (cap, value) => (said[cap] || integer)(value);
export const usageText = ({ cap, used, limit }) =>
  t(OF[cap] || "{used} of {limit} {cap}", { used: amountText(cap, used), limit: amountText(cap, limit), cap });
export const capOwnerText = ({ scope, period }) => {
  const whose = t(WHOSE[scope] || scope);
  return period === "day" ? t("{whose}, today", { whose }) : whose;
};
export const isCapReached = ({ used, limit }) => used >= limit;

const tone = ({ used, limit }) => (used >= limit ? "bad" : used >= NEAR * limit ? "ask" : "good");
const NOTES = { bad: mark("{use}: reached"), ask: mark("{use}: almost reached"), good: "{use}" };

// uses: [{scope, period, cap, limit, used}].
export function CapBars({ uses, testid }) {
  if (!uses?.length) return null;
  return html`<ul class="cap-bars" data-testid=${testid}>
    ${uses.map((use) => {
      const how = tone(use);
      return html`<li
        key=${`${use.scope} ${use.period} ${use.cap}`}
        class=${classNames("cap-bar", how)}
        data-tone=${how}
      >
        <span>${capOwnerText(use)}</span>
        <progress
          max=${use.limit}
          value=${Math.min(use.used, use.limit)}
          aria-label=${`${capOwnerText(use)}: ${usageText(use)}`}
        ></progress>
        <span class="figure">${t(NOTES[how], { use: usageText(use) })}</span>
      </li>`;
    })}
  </ul>`;
}
