// Style sheets of views that are loaded on demand.
const loading = new Map();

// Resolves once the sheet holds; also if it can't be had, as the view can be read without it.
export function loadStyle(href) {
  if (!loading.has(href)) {
    loading.set(
      href,
      new Promise((resolve) => {
        const link = document.createElement("link");
        link.rel = "stylesheet";
        link.href = href;
        link.onload = resolve;
        link.onerror = () => {
          loading.delete(href);
          resolve();
        };
        document.head.append(link);
      }),
    );
  }
  return loading.get(href);
}
