// Style sheets, and vendored libraries that are no modules: loaded when they are first needed, and only then.
import { t } from "../words/language.mjs";

const loading = new Map();

// Puts an element into the page's head, once for each address. Resolves when its file is there; it is tried again after
// a failure.
function load(address, tag, attributes) {
  if (!loading.has(address)) {
    const loaded = new Promise((resolve, reject) => {
      document.head.append(
        Object.assign(document.createElement(tag), attributes, { onload: resolve, onerror: reject }),
      );
    });
    loading.set(address, loaded);
    loaded.catch(() => loading.delete(address));
  }
  return loading.get(address);
}

const loadScript = (src, name) =>
  load(src, "script", { src }).then(
    () => window[name],
    () => {
      throw new Error(t("The diff viewer could not be loaded. Reload the page."));
    },
  );

// Resolves also if the sheet can't be had, as the view can be read without it.
export const loadStyle = (href) => load(href, "link", { rel: "stylesheet", href }).catch(() => {});

export const diff2html = () => loadScript("/static/vendor/diff2html-3.4.56/diff2html.min.js", "Diff2Html");
export const highlighter = () => loadScript("/static/vendor/highlight.js-11.12.0/highlight.min.js", "hljs");
