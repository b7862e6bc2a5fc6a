// Caps of spending: their fields in a form, and bars that show how much of each is used.
// A cap is {costUsd?, tokens?, minutes?, runs?}; what it does not name has no bound.
import { cls } from "../components/controls.mjs";
import { html } from "../components/html.mjs";
import { mark, t } from "../words/language.mjs";
import { dollars, whole } from "../words/numbers.mjs";
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
export function setChanges(sets, draft, before, prefixOf) {
  const changes = sets.map((set) => [set, capChanges(draft, prefixOf(set), before)]).filter(([, one]) => one);
  return changes.length ? Object.fromEntries(changes) : undefined;
}

export const CapFields = (props) =>
  html`<${AmountFields} names=${NAMES} layout="quad" shownEmpty=${() => t("No cap")} ...${props} />`;

const said = {
  costUsd: dollars,
  tokens: whole,
  minutes: (value) => t("{minutes} min", { minutes: whole(Math.ceil(value)) }),
  runs: whole,
};
const OF = {
  costUsd: mark("{used} of {limit}"),
  tokens: mark("{used} of {limit} tokens"),
  minutes: mark("{used} of {limit}"),
  runs: mark("{used} of {limit} runs"),
};
export const sayAmount = (cap, value) => (said[cap] || whole)(value);
export const sayUse = ({ cap, used, limit }) =>
  t(OF[cap] || "{used} of {limit} {cap}", { used: sayAmount(cap, used), limit: sayAmount(cap, limit), cap });
export const sayWhose = ({ scope, period }) => {
  const whose = t(WHOSE[scope] || scope);
  return period === "day" ? t("{whose}, today", { whose }) : whose;
};
export const isReached = ({ used, limit }) => used >= limit;

const tone = ({ used, limit }) => (used >= limit ? "bad" : used >= NEAR * limit ? "ask" : "good");
const NOTES = { bad: mark("{use}: reached"), ask: mark("{use}: almost reached"), good: "{use}" };

// uses: [{scope, period, cap, limit, used}].
export function CapBars({ uses, testid }) {
  if (!uses?.length) return null;
  return html`<ul class="cap-bars" data-testid=${testid}>
    ${uses.map((use) => {
      const how = tone(use);
      return html`<li key=${`${use.scope} ${use.period} ${use.cap}`} class=${cls("cap-bar", how)} data-tone=${how}>
        <span>${sayWhose(use)}</span>
        <progress
          max=${use.limit}
          value=${Math.min(use.used, use.limit)}
          aria-label=${`${sayWhose(use)}: ${sayUse(use)}`}
        ></progress>
        <span class="figure">${t(NOTES[how], { use: sayUse(use) })}</span>
      </li>`;
    })}
  </ul>`;
}
