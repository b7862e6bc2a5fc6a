// That other open tasks change the same files, on a task's card.
import { html } from "../../components/html.mjs";
import { tn } from "../../words/language.mjs";
import { shortened } from "../../words/words.mjs";

const MOST_TITLE = 20;

// of: [{title, files}], at least one; those with the most files first.
export function FilesOverlap({ of }) {
  const whole = ({ title, files }) =>
    tn(files, "Changes {count} file that “{title}” changes, too", "Changes {count} files that “{title}” changes, too", {
      title,
    });
  const [{ title, files }] = of;
  const text = tn(files, "Touches {count} file of “{title}”", "Touches {count} files of “{title}”", {
    title: shortened(title, MOST_TITLE),
  });
  return html`<span class="chip ask" title=${of.map(whole).join("\n")} data-testid="card-overlap">${text}</span>`;
}
