// The short messages as they are shown: at the edge of the page, or of the dialog that lies over it.
import { dismissToast, openDialogs, toastError, toasts } from "../browser/toasts.mjs";
import { t } from "../words/language.mjs";
import { Icon } from "./controls.mjs";
import { html } from "./html.mjs";

const undo = (id, act) => async () => {
  dismissToast(id);
  try {
    await act();
  } catch (error) {
    toastError(error);
  }
};

// dialog: the id of the dialog that these stand in; null: none. What lies below a modal one can't be read or pressed.
export function Toasts({ dialog }) {
  const shown = dialog === (openDialogs.value.at(-1) ?? null) ? toasts.value : [];
  return html`<div class="toasts" aria-live="polite">
    ${shown.map(
      ({ id, kind, text, link }) =>
        html`<div key=${id} class=${`toast ${kind}`} role=${kind === "bad" ? "alert" : "status"} data-testid="toast">
          <span>
            ${text}${" "}
            ${
              link?.act
                ? html`<button type="button" class="button small" data-testid="undo" onClick=${undo(id, link.act)}>
                  ${link.text}
                </button>`
                : link && html`<a href=${link.href} onClick=${() => dismissToast(id)}>${link.text}</a>`
            }
          </span>
          <button
            type="button"
            class="button ghost square"
            aria-label=${t("Dismiss")}
            onClick=${() => dismissToast(id)}
          >
            <${Icon} name="close" />
          </button>
        </div>`,
    )}
  </div>`;
}
