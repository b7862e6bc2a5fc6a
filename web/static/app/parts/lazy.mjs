// Parts of the page that are loaded when they are first shown.
import { useEffect, useState } from "preact/hooks";
import { html } from "../html.mjs";
import { Loading, Trouble } from "./controls.mjs";
import { t } from "../language.mjs";

const Plain = ({ children }) => html`<main class="page">${children}</main>`;

// A component that loads another one: `name` of the module that `load` promises. Around: what stands around the wait.
export function lazy(load, name, Around = Plain) {
  let Part = null;
  return function Lazy(props) {
    const [error, setError] = useState(null);
    const [, setLoaded] = useState(Part !== null);
    useEffect(() => {
      if (Part) return;
      load().then((module) => {
        Part = module[name];
        setLoaded(true);
      }, setError);
    }, []);
    if (Part) return html`<${Part} ...${props} />`;
    return html`<${Around}>${error ? html`<${Missing} />` : html`<${Loading} />`}<//>`;
  };
}

// Mostly because the server has a newer version of the page.
const Missing = () =>
  html`<${Trouble}
    error=${new Error(t("This part of the page could not be loaded."))}
    again=${() => location.reload()}
  />`;
