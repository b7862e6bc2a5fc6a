// Limits of one run: {maxCostUsd?, maxTokens?, maxMinutes?}; what it does not name has no limit of its own.
import { html } from "../components/html.mjs";
import { mark, t } from "../words/language.mjs";
import { dollars, integer } from "../words/numbers.mjs";
import { AmountFields, amountsDraft, amountsOf } from "./number-fields.mjs";

const NAMES = [
  ["maxCostUsd", mark("US dollars"), "any"],
  ["maxTokens", mark("Tokens"), "1"],
  ["maxMinutes", mark("Minutes"), "any"],
];

export const limitsDraft = (prefix, limits) => amountsDraft(NAMES, prefix, limits);

// What is filled in; {} if nothing is.
export const limitsOf = (draft, prefix) => amountsOf(NAMES, prefix, draft);

export const hasLimits = (draft, prefix) => Object.keys(limitsOf(draft, prefix)).length > 0;

const SAID = {
  maxCostUsd: dollars,
  maxTokens: (value) => t("{number} tokens", { number: integer(value) }),
  maxMinutes: (value) => t("{minutes} min", { minutes: integer(value) }),
};
export const limitTexts = (limits) =>
  NAMES.filter(([name]) => limits?.[name] !== undefined).map(([name]) => SAID[name](limits[name]));

// usual: the project's limits, which count for those that are empty.
export const LimitFields = ({ usual }) =>
  html`<${AmountFields}
    names=${NAMES}
    prefix="limits"
    legend=${t("Limits of each run")}
    hint=${t("A run that exceeds one fails. Empty: the project's.")}
    layout="triple"
    shownEmpty=${(name) => usual?.[name] ?? t("No limit")}
    testid="task-limit"
  />`;
