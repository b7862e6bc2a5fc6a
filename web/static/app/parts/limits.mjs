// Limits of one run: {maxCostUsd?, maxTokens?, maxMinutes?}; what it does not name has no limit of its own.
import { html } from "../html.mjs";
import { mark, t } from "../language.mjs";
import { dollars, whole } from "../money.mjs";
import { TextField } from "./controls.mjs";

const NAMES = [
  ["maxCostUsd", mark("US dollars"), { step: "any" }],
  ["maxTokens", mark("Tokens"), { step: "1" }],
  ["maxMinutes", mark("Minutes"), { step: "any" }],
];

export const limitsDraft = (prefix, limits) =>
  Object.fromEntries(NAMES.map(([name]) => [`${prefix}.${name}`, limits?.[name] ?? ""]));

// What is filled in; {} if nothing is.
export const limitsOf = (draft, prefix) =>
  Object.fromEntries(
    NAMES.map(([name]) => [name, `${draft[`${prefix}.${name}`] ?? ""}`])
      .filter(([, value]) => value !== "")
      .map(([name, value]) => [name, Number(value)]),
  );

export const hasLimits = (draft, prefix) => Object.keys(limitsOf(draft, prefix)).length > 0;

const SAID = {
  maxCostUsd: dollars,
  maxTokens: (value) => t("{number} tokens", { number: whole(value) }),
  maxMinutes: (value) => t("{minutes} min", { minutes: whole(value) }),
};
export const sayLimits = (limits) =>
  NAMES.filter(([name]) => limits?.[name] !== undefined).map(([name]) => SAID[name](limits[name]));

// usual: the project's limits, which count for those that are empty.
export const LimitFields = ({ form, usual }) => html`
  <fieldset class="caps">
    <legend>${t("Limits of each run")}</legend>
    <small>${t("A run that exceeds one fails. Empty: the project's.")}</small>
    <div class="triple">
      ${NAMES.map(
        ([name, label, given]) =>
          html`<${TextField}
            key=${name}
            label=${t(label)}
            name=${`limits.${name}`}
            type="number"
            min="0"
            inputmode="decimal"
            form=${form}
            placeholder=${usual?.[name] ?? t("No limit")}
            testid=${`task-limit-${name}`}
            ...${given}
          />`,
      )}
    </div>
  </fieldset>
`;
