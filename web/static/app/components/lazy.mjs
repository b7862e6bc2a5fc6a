// Parts of the page that are loaded when they are first shown.
import { useEffect, useState } from "preact/hooks";
import { toastProblem } from "../browser/toasts.mjs";
import { loadLaterTexts, t } from "../words/language.mjs";
import { LoadError, Loading } from "./controls.mjs";
import { html } from "./html.mjs";

const Plain = ({ children }) => html`<main class="page">${children}</main>`;
// Around a part of which nothing is to be seen until it is there. That it could not be loaded is told in a toast.
export const NoPlaceholder = () => null;
const reload = () => location.reload();
// Mostly because the server has a newer version of the page.
const missing = () => t("This part of the page could not be loaded.");

// A component that loads another one: `name` of the module that `load` promises. Around: what stands around the wait.
// It is tried again whenever the component is shown anew; its `close`, if it is given one, is called for that.
export function lazy(load, name, Around = Plain) {
  let Part = null;
  return function Lazy(props) {
    const [error, setError] = useState(null);
    const [, setLoaded] = useState(Part !== null);
    const failed = (fault) => {
      setError(fault);
      if (Around !== NoPlaceholder) return;
      toastProblem(missing(), { text: t("Reload"), act: reload });
      props.close?.();
    };
    useEffect(() => {
      if (Part) return;
      Promise.all([load(), loadLaterTexts()]).then(([module]) => {
        Part = module[name];
        setLoaded(true);
      }, failed);
    }, []);
    if (Part) return html`<${Part} ...${props} />`;
    return html`<${Around}>${error ? html`<${Missing} />` : html`<${Loading} />`}<//>`;
  };
}

const Missing = () => html`<${LoadError} error=${new Error(missing())} again=${reload} />`;
