// Starts the page: draws the shell once, everything else follows the signals.
import { render } from "preact";
import { applyStoredScheme } from "./browser/color-scheme.mjs";
import { ignoreDroppedFiles } from "./browser/dropped-files.mjs";
import { restoreLostFocus } from "./browser/focus.mjs";
import { unfoldInvalidFields } from "./browser/invalid-fields.mjs";
import { html } from "./components/html.mjs";
import { App } from "./views/frame/shell.mjs";
import { startLanguage } from "./words/language.mjs";

applyStoredScheme();
ignoreDroppedFiles();
unfoldInvalidFields();
restoreLostFocus();
startLanguage().then(() => {
  const root = document.getElementById("app");
  root.replaceChildren();
  render(html`<${App} />`, root);
});
