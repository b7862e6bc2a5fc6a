// Amounts that bound something, such as caps and limits: {name?: number}; what is not named has no bound.
// names: [name, label, step] of each. prefix: what their names in a draft begin with.
import { html } from "../components/html.mjs";
import { t } from "../words/language.mjs";
import { TextField } from "./fields.mjs";

export const amountsDraft = (names, prefix, amounts) =>
  Object.fromEntries(names.map(([name]) => [`${prefix}.${name}`, amounts?.[name] ?? ""]));

// What is filled in; {} if nothing is.
export const amountsOf = (names, prefix, draft) =>
  Object.fromEntries(
    names
      .map(([name]) => [name, `${draft[`${prefix}.${name}`] ?? ""}`])
      .filter(([, value]) => value !== "")
      .map(([name, value]) => [name, Number(value)]),
  );

// layout: the class that lays them out. shownEmpty: what the field of a name shows where nothing is filled in.
export const AmountFields = ({ names, prefix, legend, hint, layout, shownEmpty, testid }) => html`
  <fieldset class="caps">
    <legend>${legend}</legend>
    ${hint && html`<small>${hint}</small>`}
    <div class=${layout}>
      ${names.map(
        ([name, label, step]) =>
          html`<${TextField}
            key=${name}
            label=${t(label)}
            name=${`${prefix}.${name}`}
            type="number"
            min="0"
            step=${step}
            inputmode="decimal"
            placeholder=${shownEmpty(name)}
            testid=${testid && `${testid}-${name}`}
          />`,
      )}
    </div>
  </fieldset>
`;
