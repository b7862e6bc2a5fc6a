// What a project's programs may reach over the network. Shown only where the platform knows the choice.
import { html } from "../../components/html.mjs";
import { SelectField, TextField } from "../../forms/fields.mjs";
import { mark, t, tPairs } from "../../words/language.mjs";

const EGRESS = [
  [
    "registries",
    mark("Package registries"),
    mark("The platform, its forge, package registries and the further hosts, through a proxy."),
  ],
  [
    "none",
    mark("Nothing"),
    mark("Only the platform and its forge: nothing is installed from the internet, and nothing leaves."),
  ],
  [
    "open",
    mark("Everything"),
    mark("Every public and private address: what an agent reads, it can also send anywhere."),
  ],
];
const sentences = new Map(EGRESS.map(([value, , sentence]) => [value, sentence]));

export function NetworkFields({ form }) {
  const { egress } = form.draft;
  if (egress === undefined) return null;
  return html`<div class="pair">
    <${SelectField}
      label=${t("Network of agents, tests and previews")}
      name="egress"
      testid="project-egress"
      options=${tPairs(EGRESS)}
      hint=${t(sentences.get(egress))}
    />
    ${
      egress === "registries" &&
      html`<${TextField}
        label=${t("Further hosts")}
        name="egressHosts"
        testid="project-egress-hosts"
        rows="2"
        placeholder="packages.example.com"
        hint=${t("One a line; *.example.com for all names below. Staging and production reach every public address.")}
        spellcheck=${false}
      />`
    }
  </div>`;
}
