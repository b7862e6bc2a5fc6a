// The page's words. English is what the code says; it is also the key under which another language is looked up.
let catalogue = {};

// t("{name} was added", { name }): each {name} is replaced by its value, a text or a number.
export function t(text, values = {}) {
  return (catalogue[text] ?? text).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

// tn(3, "{count} file", "{count} files"): one of two texts, with {count}.
export const tn = (count, one, many, values = {}) => t(count === 1 ? one : many, { count, ...values });
