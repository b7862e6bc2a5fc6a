// Vendored libraries that are no modules: loaded when they are first needed, and only then.
import { t } from "../words/language.mjs";

const loading = new Map();

function load(src, name) {
  if (!loading.has(src)) {
    loading.set(
      src,
      new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = src;
        script.onload = () => resolve(window[name]);
        script.onerror = () => {
          loading.delete(src);
          reject(new Error(t("The diff viewer could not be loaded. Reload the page.")));
        };
        document.head.append(script);
      }),
    );
  }
  return loading.get(src);
}

export const diff2html = () => load("/static/vendor/diff2html-3.4.56/diff2html.min.js", "Diff2Html");
export const highlighter = () => load("/static/vendor/highlight.js-11.12.0/highlight.min.js", "hljs");
