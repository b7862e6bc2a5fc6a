// Starts the page: draws the shell once, everything else follows the signals.
import { render } from "preact";
import { beginScheme } from "./browser/color-scheme.mjs";
import { refuseFiles } from "./browser/dropped-files.mjs";
import { keepFocus } from "./browser/focus.mjs";
import { showRefusedFields } from "./browser/invalid-fields.mjs";
import { html } from "./components/html.mjs";
import { App } from "./views/frame/shell.mjs";
import { beginLanguage } from "./words/language.mjs";

beginScheme();
refuseFiles();
showRefusedFields();
keepFocus();
beginLanguage().then(() => {
  const root = document.getElementById("app");
  root.replaceChildren();
  render(html`<${App} />`, root);
});
