// Which of a project's secret variables a change removes: all, or each by itself. What is written anew replaces all.
import { html } from "../html.mjs";
import { t } from "../language.mjs";
import { CheckField } from "../parts/controls.mjs";

// In a draft: removedSecrets is a text of names with blanks between them, which no name has.
const removed = (draft) => draft.removedSecrets.split(" ").filter(Boolean);

export const secretChanges = (draft) => Object.fromEntries(removed(draft).map((name) => [name, null]));

const replacesAll = (draft) => draft.dropsSecrets || draft.secretEnvVars.trim();

export function SecretRemoval({ form, secrets }) {
  const { draft, change } = form;
  const chosen = removed(draft);
  const choose = (name, is) =>
    change("removedSecrets", [...chosen.filter((one) => one !== name), ...(is ? [name] : [])].join(" "));
  return html`<${CheckField} label=${t("Remove all secret variables")} name="dropsSecrets" form=${form} />
    ${
      secrets.length > 1 &&
      !replacesAll(draft) &&
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
