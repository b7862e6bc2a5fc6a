// What a project's forbidden paths match in the default branch today, and a place to try another pattern.
import { useState } from "preact/hooks";
import { api } from "../api.mjs";
import { html } from "../html.mjs";
import { useRead } from "../loading.mjs";
import { Fault, Loading, TextField, Trouble, useForm } from "../parts/controls.mjs";

const Matches = ({ found }) =>
  html`<li class="row" data-testid="forbidden-matches" data-pattern=${found.pattern}>
    <span class="row-main">
      <code>${found.pattern}</code>
      ${
        found.total
          ? html`<details>
            <summary>${found.total} ${found.total === 1 ? "file" : "files"}</summary>
            ${found.files.map((path) => html`<div key=${path}><code>${path}</code></div>`)}
            ${
              found.total > found.files.length &&
              html`<div class="muted">and ${found.total - found.files.length} more</div>`
            }
          </details>`
          : html`<span class="muted">no file today</span>`
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
    <h2>Forbidden paths today</h2>
    <p class="muted">
      Which files of the default branch each pattern keeps agents from touching. Patterns as in <code>.gitignore</code>,
      without exceptions.
    </p>
    <form class="inline" onSubmit=${attempt}>
      <${TextField} label="Try a pattern" name="pattern" form=${form} testid="forbidden-try" spellcheck=${false} />
      <button class="button" disabled=${form.busy || !form.draft.pattern.trim()}>Look</button>
    </form>
    <${Fault} form=${form} />
    ${
      error && !value
        ? html`<${Trouble} error=${error} again=${reload} />`
        : patterns.length && !value
          ? html`<${Loading} />`
          : html`<ul class="rows">
            ${shown.map((found, index) => html`<${Matches} key=${`${index} ${found.pattern}`} found=${found} />`)}
          </ul>`
    }
    ${
      (value?.truncated || tried?.truncated) &&
      html`<p class="muted">The repository has more files than were looked at.</p>`
    }
  </section>`;
}
