// A patch's text as files, by diff2html. It takes a lone carriage return for a line's end, so that a line of a file
// could pretend to begin another file; and it drops git's remark on a missing newline wherever it stands.
export const parsePatch = (library, patch, options) =>
  library.parse(
    patch
      .replace(/\r(?!\n)/g, "\u240d")
      .replace(/([^\n])\\ No newline at end of file/g, "$1\\\u00a0No newline at end of file"),
    options,
  );
