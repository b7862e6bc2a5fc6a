// Variables as lines of text, NAME=value, and back. A value that is no line, because it has line ends or blanks at an
// end, is written as a string of JSON. All else is written as it is, quotes too.
const isLine = (value) => value === value.trim() && !/[\r\n]/.test(value) && unquoted(value) === value;

function unquoted(written) {
  if (!written.startsWith('"')) return written;
  try {
    const value = JSON.parse(written);
    return isLine(value) ? written : value;
  } catch {
    return written;
  }
}

export const variableLines = (values) =>
  Object.entries(values)
    .map(([name, value]) => `${name}=${isLine(value) ? value : JSON.stringify(value)}`)
    .join("\n");

export const variablesOf = (text) =>
  Object.fromEntries(
    text
      .split("\n")
      .map((line) => line.trim())
      .filter(Boolean)
      .map((line) => {
        const at = line.indexOf("=");
        return at < 0 ? [line, ""] : [line.slice(0, at).trim(), unquoted(line.slice(at + 1))];
      }),
  );
