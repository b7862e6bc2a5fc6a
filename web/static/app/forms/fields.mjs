// The fields of a form, each with its label, a hint, and what is wrong with it.
import { createContext } from "preact";
import { useContext, useId } from "preact/hooks";
import { classNames } from "../components/controls.mjs";
import { html } from "../components/html.mjs";
import { fieldError } from "./form.mjs";

const FormContext = createContext(null);

// A form. of: what useForm returned, or the like of useSharedForm; the fields within are its own, however deep.
export const FieldForm = ({ of, children, ...rest }) =>
  html`<${FormContext.Provider} value=${of}><form ...${rest}>${children}</form><//>`;

function useFormAround(own) {
  const around = useContext(FormContext);
  return own ?? around;
}

// One labelled control: `control` is a function of the id that ties it to its label, and of the attributes that tie it
// to its hint and to what is wrong.
export function Field({ label, hint, control, error }) {
  const id = useId();
  const [ofHint, ofError] = [`${id}-hint`, `${id}-error`];
  const said = {
    "aria-describedby": classNames(hint && ofHint, error && ofError) || undefined,
    "aria-invalid": error ? "true" : undefined,
  };
  return html`<div class=${classNames("field", error && "wrong")}>
    <label for=${id}>${label}</label>
    ${control(id, said)}
    ${hint && html`<small id=${ofHint}>${hint}</small>`}
    ${error && html`<small id=${ofError} class="error">${error}</small>`}
  </div>`;
}

// Text in a form's draft. own: where it belongs to another form than the one around it.
export function TextField({ label, hint, name, form: own, testid, rows, type = "text", ...rest }) {
  const form = useFormAround(own);
  const shared = (id, said) => ({
    id,
    name,
    ...said,
    value: form.draft[name] ?? "",
    "data-testid": testid,
    onInput: (event) => form.change(name, event.target.value),
    ...rest,
  });
  return html`<${Field}
    label=${label}
    hint=${hint}
    error=${fieldError(form, name)}
    control=${(id, said) =>
      rows
        ? html`<textarea rows=${rows} ...${shared(id, said)}></textarea>`
        : html`<input type=${type} autocomplete="off" ...${shared(id, said)} />`}
  />`;
}

export function SelectField({ label, hint, name, form: own, options, testid, ...rest }) {
  const form = useFormAround(own);
  return html`<${Field}
    label=${label}
    hint=${hint}
    error=${fieldError(form, name, (theirs) => options.find(([value]) => value === theirs)?.[1] ?? theirs)}
    control=${(id, said) =>
      html`<select
        id=${id}
        name=${name}
        ...${said}
        value=${form.draft[name] ?? ""}
        data-testid=${testid}
        onChange=${(event) => form.change(name, event.target.value)}
        ...${rest}
      >
        ${options.map(([value, text]) => html`<option key=${value} value=${value}>${text}</option>`)}
      </select>`}
  />`;
}

export function CheckField({ label, hint, name, form: own }) {
  const form = useFormAround(own);
  return html`<label class="check">
    <input
      type="checkbox"
      name=${name}
      checked=${!!form.draft[name]}
      onChange=${(event) => form.change(name, event.target.checked)}
    />
    <span>${label}${hint && html`<small>${hint}</small>`}</span>
  </label>`;
}
