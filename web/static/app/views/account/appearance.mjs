// In which language and in which colours this browser shows the page.
import { chooseScheme, scheme, SCHEMES } from "../../browser/color-scheme.mjs";
import { toastError } from "../../browser/toasts.mjs";
import { html } from "../../components/html.mjs";
import { Field } from "../../forms/fields.mjs";
import { chooseLanguage, language, LANGUAGES, t, tPairs } from "../../words/language.mjs";

const Choice = ({ label, value, options, choose, testid }) =>
  html`<${Field}
    label=${label}
    control=${(id) =>
      html`<select id=${id} value=${value} data-testid=${testid} onChange=${(event) => choose(event.target.value)}>
        ${options.map(
          ([name, text]) => html`<option key=${name} value=${name} selected=${name === value}>${text}</option>`,
        )}
      </select>`}
  />`;

export const LanguageChoice = () =>
  html`<${Choice}
    label=${t("Language")}
    value=${language.value}
    options=${LANGUAGES}
    choose=${(code) => chooseLanguage(code).catch(toastError)}
    testid="language"
  />`;

export const SchemeChoice = () =>
  html`<${Choice}
    label=${t("Colours")}
    value=${scheme.value}
    options=${tPairs(SCHEMES)}
    choose=${chooseScheme}
    testid="scheme"
  />`;
