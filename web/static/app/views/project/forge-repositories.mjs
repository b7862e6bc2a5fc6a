// The repositories of the platform's Gitea that administrators can import, to choose one. Nothing without a Gitea.
import { useEffect, useState } from "preact/hooks";
import { Button, LoadError } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { Field } from "../../forms/fields.mjs";
import { useRead } from "../../server/loading.mjs";
import { t } from "../../words/language.mjs";

const PAUSE_MS = 250;

// chosen: the url of the one that is chosen. onChoose: called with {name, url, defaultBranch, …}.
export function ForgeRepositories({ chosen, onChoose }) {
  const [typed, setTyped] = useState("");
  const [asked, setAsked] = useState({ q: "", page: 1 });
  const [before, setBefore] = useState([]);
  const { value, error, reload } = useRead("/forge/repositories", asked);
  useEffect(() => {
    if (typed.trim() === asked.q) return undefined;
    const timer = setTimeout(() => {
      setBefore([]);
      setAsked({ q: typed.trim(), page: 1 });
    }, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [typed, asked.q]);
  if (value?.reason || (!value && !error && !asked.q && asked.page === 1)) return null;
  const found = [...before, ...(value?.repositories || [])];
  const more = () => {
    setBefore(found);
    setAsked({ ...asked, page: value.nextPage });
  };
  return html`<section class="forge-list" data-testid="forge-repositories">
    <${Field}
      label=${t("From your Gitea")}
      hint=${t("It is copied; the original stays as it is.")}
      control=${(id, said) =>
        html`<input
          id=${id}
          ...${said}
          type="search"
          autocomplete="off"
          placeholder=${t("Search repositories")}
          value=${typed}
          data-testid="forge-search"
          onInput=${(event) => setTyped(event.target.value)}
        />`}
    />
    ${error && html`<${LoadError} error=${error} again=${reload} />`}
    ${
      found.length > 0 &&
      html`<ul class="rows offers">
        ${found.map(
          (one) =>
            html`<li key=${one.url}>
              <button
                type="button"
                class="row offer"
                aria-pressed=${one.url === chosen}
                data-testid="forge-repository"
                onClick=${() => onChoose(one)}
              >
                <span class="row-main">
                  <b>${one.name}</b>
                  ${one.description && html`<small>${one.description}</small>`}
                </span>
                ${one.private && html`<span class="chip">${t("private")}</span>`}
              </button>
            </li>`,
        )}
      </ul>`
    }
    ${
      value && !found.length && html`<p class="muted" data-testid="forge-none">${t("No repository has that name.")}</p>`
    }
    ${value?.nextPage && html`<${Button} act=${more} kind="more" testid="forge-more">${t("Load more")}<//>`}
  </section>`;
}
