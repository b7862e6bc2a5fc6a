// What a form changes of a project's secret variables: those that are written in it are set, those that are chosen are
// removed, and the others stay.
import { html } from "../../components/html.mjs";
import { CheckField } from "../../forms/fields.mjs";
import { variablesOf } from "../../forms/variables.mjs";
import { t } from "../../words/language.mjs";

// In a draft: removedSecrets is a text of names with blanks between them, which no name has.
const removed = (draft) => draft.removedSecrets.split(" ").filter(Boolean);

// Of the body that is sent. dropsSecrets: only those that are written are left.
export function secretValues(draft) {
  const written = variablesOf(draft.secretEnvVars);
  if (draft.dropsSecrets) return { secretEnvVars: written };
  const secretEnvVarChanges = { ...Object.fromEntries(removed(draft).map((name) => [name, null])), ...written };
  return Object.keys(secretEnvVarChanges).length ? { secretEnvVarChanges } : {};
}

export function SecretRemoval({ form, secrets }) {
  const { draft, change } = form;
  const chosen = removed(draft);
  const choose = (name, is) =>
    change("removedSecrets", [...chosen.filter((one) => one !== name), ...(is ? [name] : [])].join(" "));
  return html`<${CheckField} label=${t("Remove all secret variables")} name="dropsSecrets" />
    ${
      secrets.length > 1 &&
      !draft.dropsSecrets &&
      secrets.map(
        (name) =>
          html`<${CheckField}
            key=${name}
            label=${t("Remove {name}", { name })}
            name=${`removes.${name}`}
            form=${{ draft: { [`removes.${name}`]: chosen.includes(name) }, change: (_, is) => choose(name, is) }}
          />`,
      )
    }`;
}
