// Starts the page: draws the shell once, everything else follows the signals.
import { render } from "preact";
import { refuseFiles } from "./dropped.mjs";
import { keepFocus } from "./focus.mjs";
import { html } from "./html.mjs";
import { beginLanguage } from "./language.mjs";
import { showRefusedFields } from "./refused-fields.mjs";
import { beginScheme } from "./scheme.mjs";
import { App } from "./views/shell.mjs";

beginScheme();
refuseFiles();
showRefusedFields();
keepFocus();
beginLanguage().then(() => {
  const root = document.getElementById("app");
  root.replaceChildren();
  render(html`<${App} />`, root);
});
