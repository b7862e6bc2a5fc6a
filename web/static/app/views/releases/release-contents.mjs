// What a group brings: its commits, its changes against what production serves, and a changelog to copy.
import { useState } from "preact/hooks";
import { canCopy, copyText } from "../../browser/clipboard.mjs";
import { Button, LoadError, Loading, Time } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { lazy } from "../../components/lazy.mjs";
import { useLiveEvents, useRead } from "../../server/loading.mjs";
import { t, tn } from "../../words/language.mjs";
import { shortSha } from "../../words/words.mjs";

const ReadDiff = lazy(
  () => import("../task/task-panel.mjs"),
  "ReadDiff",
  ({ children }) => children,
);

export function ReleaseContents({ group }) {
  const { value, error, reload } = useRead(`/task-groups/${group.id}/release`);
  // What it is compared with is what production serves.
  useLiveEvents(({ event, data }) => event === "deploy:completed" && data?.environment === "production", reload);
  const release = value?.release;
  if (error && !release)
    return html`<section><h2>${t("What it brings")}</h2><${LoadError} error=${error} again=${reload} /></section>`;
  if (!release) return html`<section><h2>${t("What it brings")}</h2><${Loading} /></section>`;
  return html`<section data-testid="release-contents">
    <div class="section-head">
      <h2>${t("What it brings")}</h2>
      <span class="muted">
        ${
          release.against === "production"
            ? t("Compared with what production serves, {commit}", { commit: shortSha(release.baseSha) })
            : release.baseSha &&
              t("Compared with the default branch that it was built on, {commit}", {
                commit: shortSha(release.baseSha),
              })
        }
      </span>
    </div>
    <${Commits} release=${release} />
    ${release.headSha && release.baseSha && html`<${Changes} key=${release.baseSha} group=${group} />`}
    <${Changelog} text=${release.changelog} />
  </section>`;
}

// Reads and draws what is inside only once it is opened.
function Fold({ title, testid, children }) {
  const [open, setOpen] = useState(false);
  return html`<details
    class="release-fold"
    data-testid=${testid}
    onToggle=${(event) => setOpen(event.currentTarget.open)}
  >
    <summary>${title}</summary>
    ${open && children}
  </details>`;
}

function Commits({ release }) {
  const { commits, commitCount } = release;
  if (commitCount === null) return html`<p class="muted">${t("Its commits are known once it is merged.")}</p>`;
  return html`<${Fold} title=${tn(commitCount, "{count} commit", "{count} commits")} testid="release-commits">
    <ul class="rows">
      ${commits.map(
        (one) =>
          html`<li key=${one.sha} class="row">
            <code>${shortSha(one.sha)}</code>
            <span class="row-main">${one.subject}</span>
            <span class="muted">${one.author}</span>
            <${Time} at=${one.at} />
          </li>`,
      )}
    </ul>
    ${
      commits.length < commitCount &&
      html`<p class="muted">${t("The newest {count} are shown.", { count: commits.length })}</p>`
    }
  <//>`;
}

const Changes = ({ group }) =>
  html`<${Fold} title=${t("Changes")} testid="release-diff"><${Patch} group=${group} /><//>`;

function Patch({ group }) {
  const { value, error, reload } = useRead(`/task-groups/${group.id}/diff`);
  if (error) return html`<${LoadError} error=${error} again=${reload} />`;
  if (!value) return html`<${Loading} />`;
  if (!value.files.length) return html`<p class="muted">${t("It changes nothing.")}</p>`;
  const sum = (name) => value.files.reduce((all, file) => all + (file[name] || 0), 0);
  return html`
    <p class="place-line">
      ${tn(value.files.length, "{count} file", "{count} files")}
      <span class="plus">+${sum("additions")}</span> <span class="minus">−${sum("deletions")}</span>
      ${value.truncated && html`<span class="muted">${t("The end is left out: it is too long.")}</span>`}
    </p>
    <${ReadDiff} diff=${value} />
  `;
}

function Changelog({ text }) {
  return html`<${Fold} title=${t("Changelog")} testid="release-changelog">
    <pre class="lines" tabindex="0" role="group" aria-label=${t("Changelog")}>${text}</pre>
    ${
      canCopy &&
      html`<p>
        <${Button} small testid="changelog-copy" act=${() => copyText(text)}>${t("Copy as Markdown")}<//>
      </p>`
    }
  <//>`;
}
