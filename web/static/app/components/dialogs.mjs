// Modal dialogs: any content, and a question that has to be confirmed.
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { openDialogs } from "../browser/toasts.mjs";
import { FieldForm, TextField } from "../forms/fields.mjs";
import { FormError, useForm } from "../forms/form.mjs";
import { t } from "../words/language.mjs";
import { classNames, Icon } from "./controls.mjs";
import { html } from "./html.mjs";
import { Toasts } from "./toast-list.mjs";

// A modal dialog; the browser keeps the focus in it and Escape closes it.
export function Dialog({ title, close, children, wide }) {
  const box = useRef();
  // Whether the pointer was pressed beside the dialog: a click there may also end what selects text within it.
  const isBeside = useRef(false);
  const id = useId();
  useLayoutEffect(() => {
    const dialog = box.current;
    dialog.showModal();
    dialog.querySelector("input,textarea,select")?.focus();
    openDialogs.value = [...openDialogs.value, id];
    // All else is inert while it is open. Closing it gives the focus back to where it was; removing it does not.
    return () => {
      openDialogs.value = openDialogs.value.filter((one) => one !== id);
      dialog.close();
    };
  }, []);
  return html`<dialog
    ref=${box}
    class=${classNames("dialog", wide && "wide")}
    aria-labelledby=${id}
    onCancel=${(event) => {
      event.preventDefault();
      close();
    }}
    onPointerDown=${({ target }) => (isBeside.current = target === box.current)}
    onClick=${({ target }) =>
      isBeside.current && target === box.current && !box.current.querySelector("textarea,input") && close()}
  >
    <header>
      <h2 id=${id}>${title}</h2>
      <button type="button" class="button ghost square" aria-label=${t("Close")} onClick=${close}>
        <${Icon} name="close" />
      </button>
    </header>
    <div class="dialog-body">${children}</div>
    <${Toasts} dialog=${id} />
  </dialog>`;
}

// A name as it is read: several spaces are shown as one.
const asRead = (name) => name.normalize().trim().split(/\s+/).join(" ");

// A dialog that asks before something that can't be taken back. `typed`: the word to type first. isLoss: something is
// removed or ended, and who says no keeps it.
export function Confirm({
  title,
  children,
  verb,
  act,
  close,
  typed,
  testid,
  kind = "danger",
  isLoss = kind === "danger",
}) {
  const form = useForm({ word: "" });
  const submit = form.submit(async () => {
    await act();
    close();
  });
  return html`<${Dialog} title=${title} close=${close}>
    <${FieldForm} of=${form} onSubmit=${submit}>
      <div class="prose">${children}</div>
      ${
        typed &&
        html`<${TextField} label=${t("Type “{typed}” to confirm", { typed })} name="word" testid="confirm-word" />`
      }
      <${FormError} form=${form} />
      <footer>
        <button type="button" class="button" onClick=${close}>${isLoss ? t("Keep it") : t("Cancel")}</button>
        <button
          class=${`button ${kind}`}
          data-testid=${testid}
          disabled=${form.busy || (typed && asRead(form.draft.word) !== asRead(typed))}
        >
          ${verb}
        </button>
      </footer>
    <//>
  <//>`;
}
