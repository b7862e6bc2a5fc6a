// What a project's forbidden paths match in the default branch today, and a place to try another pattern.
import { useState } from "preact/hooks";
import { LoadError, Loading } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { FieldForm, TextField } from "../../forms/fields.mjs";
import { FormError, useForm } from "../../forms/form.mjs";
import { api } from "../../server/api.mjs";
import { useRead } from "../../server/loading.mjs";
import { t, th, tn } from "../../words/language.mjs";

const Matches = ({ found }) =>
  html`<li class="row" data-testid="forbidden-matches" data-pattern=${found.pattern}>
    <span class="row-main">
      <code>${found.pattern}</code>
      ${
        found.total
          ? html`<details>
            <summary>${tn(found.total, "{count} file", "{count} files")}</summary>
            ${found.files.map((path) => html`<div key=${path}><code>${path}</code></div>`)}
            ${
              found.total > found.files.length &&
              html`<div class="muted">${t("and {count} more", { count: found.total - found.files.length })}</div>`
            }
          </details>`
          : html`<span class="muted">${t("no file today")}</span>`
      }
    </span>
  </li>`;

export function ForbiddenPathsToday({ id, patterns }) {
  const [tried, setTried] = useState(null);
  const path = `/projects/${id}/forbidden-paths`;
  const { value, error, reload } = useRead(patterns.length ? path : null);
  const form = useForm({ pattern: "" });
  const attempt = form.submit(async ({ pattern }) => setTried(await api.get(path, { pattern: pattern.trim() })));
  const shown = [...(tried?.patterns || []), ...(value?.patterns || [])];
  return html`<section>
    <h2>${t("Forbidden paths today")}</h2>
    <p class="muted">
      ${th(
        "Which files of the default branch each pattern keeps agents from touching. " +
          "Patterns as in {file}, without exceptions.",
        { file: html`<code>.gitignore</code>` },
      )}
    </p>
    <${FieldForm} of=${form} class="inline" onSubmit=${attempt}>
      <${TextField} label=${t("Try a pattern")} name="pattern" testid="forbidden-try" spellcheck=${false} />
      <button class="button" disabled=${form.busy || !form.draft.pattern.trim()}>${t("Look")}</button>
    <//>
    <${FormError} form=${form} />
    ${
      error && !value
        ? html`<${LoadError} error=${error} again=${reload} />`
        : patterns.length && !value
          ? html`<${Loading} />`
          : html`<ul class="rows">
            ${shown.map((found, index) => html`<${Matches} key=${`${index} ${found.pattern}`} found=${found} />`)}
          </ul>`
    }
    ${
      (value?.truncated || tried?.truncated) &&
      html`<p class="muted">${t("The repository has more files than were looked at.")}</p>`
    }
  </section>`;
}
