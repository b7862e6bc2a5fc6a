// Copying a text. Browsers without a clipboard, or on plain http, have none to offer.
import { t } from "../words/language.mjs";
import { toastSuccess, toastWarning } from "./toasts.mjs";

export const canCopy = Boolean(navigator.clipboard);

// said: what is told where it went well. Some browsers ask first, and some settings forbid it.
export async function copyText(text, said = t("Copied.")) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    return toastWarning(t("The browser does not allow copying. Select the text and copy it by hand."));
  }
  toastSuccess(said);
}
