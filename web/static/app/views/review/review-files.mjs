// The files of a diff as a tree: folders with their files, how much changed, and which were viewed.
import { classNames } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { showInvisible } from "../../components/invisible-characters.mjs";
import { LineCounts } from "../../diff/diff-file.mjs";
import { t } from "../../words/language.mjs";

// Files by their folder, in the order of the diff.
function folders(files) {
  const found = new Map();
  files.forEach((file, index) => {
    const at = file.path.lastIndexOf("/");
    const folder = at < 0 ? "" : file.path.slice(0, at);
    if (!found.has(folder)) found.set(folder, []);
    found.get(folder).push({ file, index, name: file.path.slice(at + 1) });
  });
  return [...found];
}

// show(index): brings the file on the screen.
export function FileTree({ files, viewed, show }) {
  const seen = files.filter(({ path }) => viewed.has(path)).length;
  return html`<nav class="review-files" aria-label=${t("Changed files")} data-testid="review-files">
    <p class="muted">${t("{seen} of {count} viewed", { seen, count: files.length })}</p>
    <progress max=${files.length} value=${seen} aria-label=${t("Viewed")}></progress>
    ${folders(files).map(
      ([folder, inside]) =>
        html`<div key=${folder} class="folder">
          ${folder && html`<p class="muted">${showInvisible(folder)}/</p>`}
          <ul>
            ${inside.map(
              ({ file, index, name }) =>
                html`<li key=${file.path} class=${classNames(file.status, viewed.has(file.path) && "seen")}>
                  <button type="button" title=${file.path} onClick=${() => show(index)}>
                    <span>${showInvisible(name)}</span>
                    ${viewed.has(file.path) && html`<span class="sr">${t("Viewed")}</span>`}
                    <${LineCounts} of=${file} />
                  </button>
                </li>`,
            )}
          </ul>
        </div>`,
    )}
  </nav>`;
}
