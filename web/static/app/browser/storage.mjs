// What the browser keeps as JSON, of this browser (localStorage) or of this tab (sessionStorage).

// Null for what is not there, or can't be read.
export function readJson(storage, key) {
  try {
    return JSON.parse(storage.getItem(key));
  } catch {
    return null;
  }
}
