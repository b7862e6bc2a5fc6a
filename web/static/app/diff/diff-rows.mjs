// A diff as files and rows, without anything of the page. A row is {type, old, new, text, mark}: type is "context",
// "delete" or "insert"; old and new are line numbers, null on the side where it is not; mark is what changed within it.

const TYPES = { insert: "insert", delete: "delete", context: "context" };

function rowOf(line) {
  const type = TYPES[line.type] || "context";
  return {
    type,
    old: type === "insert" ? null : line.oldNumber,
    new: type === "delete" ? null : line.newNumber,
    text: line.content.slice(1),
    mark: null,
  };
}

// What differs between two lines, if they have enough in common: everything between equal beginnings and ends.
function markPair(one, other) {
  const shorter = Math.min(one.text.length, other.text.length);
  let first = 0;
  while (first < shorter && one.text[first] === other.text[first]) first += 1;
  let last = 0;
  while (last < shorter - first && one.text.at(-1 - last) === other.text.at(-1 - last)) last += 1;
  if (first + last < 0.4 * Math.max(one.text.length, other.text.length)) return;
  for (const row of [one, other]) if (row.text.length > first + last) row.mark = [first, row.text.length - last];
}

// The runs of deleted lines, each with the inserted ones that follow it.
function* runsOf(rows) {
  for (let at = 0; at < rows.length;) {
    const start = at;
    while (rows[at]?.type === "delete") at += 1;
    const middle = at;
    while (rows[at]?.type === "insert") at += 1;
    if (at === start) at += 1;
    else yield [rows.slice(start, middle), rows.slice(middle, at), start];
  }
}

function blockOf(block) {
  const rows = block.lines.map(rowOf);
  for (const [deleted, inserted] of runsOf(rows)) {
    if (deleted.length === inserted.length) deleted.forEach((row, index) => markPair(row, inserted[index]));
  }
  return { rows, header: block.header, oldStart: block.oldStartLine, newStart: block.newStartLine };
}

// For each part of a patch the index of its file: git shows a file that becomes a link, or was one, as a deleted and a
// new one.
function filesOf(parsed) {
  let file = -1;
  return parsed.map((one, at) => {
    const before = parsed[at - 1];
    if (!(before?.isDeleted && one.isNew && before.oldName === one.newName)) file += 1;
    return file;
  });
}

const LINK_MODES = ["120000", "160000"];

// Whether the lines that the patch leaves out of a changed file can be read. Those of a link, a submodule, what is no
// text, and a file whose name is no text, can't.
const isReadable = ({ mode, blocks }, path) =>
  blocks.some(({ lines }) => lines.length > 0) && !LINK_MODES.includes(mode) && !path.includes("\ufffd");

// parsed: by parsePatch; files: as the API counts them, in the same order. isCut: the end of the patch is missing.
export function diffFiles(parsed, files, { isCut = false } = {}) {
  const places = filesOf(parsed);
  const count = (places.at(-1) ?? -1) + 1;
  const isAligned = isCut ? count <= files.length : count === files.length;
  return parsed.map((one, index) => {
    const file = (isAligned ? files[places[index]] : files.find(({ path }) => path === one.newName)) || {};
    const isPart = places[index] === places[index - 1] || places[index] === places[index + 1];
    const known = isPart ? { path: file.path } : file;
    const change = known.status;
    const gone = change ? change === "deleted" : one.isDeleted;
    const added = change ? change === "added" : one.isNew;
    const path = known.path || (gone ? one.oldName : one.newName);
    return {
      path,
      oldPath: known.oldPath || (one.isRename ? one.oldName : null),
      status: change || (gone ? "deleted" : added ? "added" : one.isRename ? "renamed" : "modified"),
      additions: known.additions ?? one.addedLines,
      deletions: known.deletions ?? one.deletedLines,
      hasMore: !gone && !added && isReadable(one, path) && !(isCut && index === parsed.length - 1),
      blocks: one.blocks.map(blockOf),
    };
  });
}

const DECIDING = [
  /(^|\/)(GNUm|M|m)akefile$/,
  /(^|\/)(justfile|Rakefile|tox\.ini|noxfile\.py|\.?pytest\.ini|conftest\.py|setup\.(py|cfg)|pyproject\.toml)$/,
  /(^|\/)(package|deno|composer)\.json$/,
  /(^|\/)(jest|vitest|karma|playwright|cypress)\.[\w.]*conf[\w.]*$|(^|\/)\.mocharc\./,
  /(^|\/)(Cargo\.toml|go\.mod|go\.sum|Gemfile|pom\.xml|build\.gradle(\.kts)?)$/,
  /(^|\/)(dev-|test-)?requirements[\w.-]*\.(txt|in)$/,
  /(^|\/)(package-lock\.json|npm-shrinkwrap\.json|pnpm-lock\.yaml|bun\.lockb?)$|\.lock$/,
  /(^|\/)(fixtures|__fixtures__|testdata)\//,
  /(^|\/)\.(gitea|github|forgejo)\/workflows\/|(^|\/)\.gitlab-ci\.yml$/,
];

// Whether results of tests depend on the file: how they run, what they run with.
export const affectsTests = (path) => DECIDING.some((pattern) => pattern.test(path));

// The files by which a reviewer judges the tests come first; the others keep their order.
export const testFilesFirst = (files) => [
  ...files.filter(({ path }) => affectsTests(path)),
  ...files.filter(({ path }) => !affectsTests(path)),
];

// Lines from `from` to `to` (null: to an end that isn't known) that the diff leaves out: those that were read by now as
// rows, the others as gaps {gap, from, to, delta, header}. delta: how much higher their numbers are in the old version.
function between(context, from, to, delta, header) {
  const items = [];
  let missing = null;
  const close = (end) => {
    if (missing !== null) items.push({ gap: true, from: missing, to: end, delta, header: null });
    missing = null;
  };
  let number = from;
  for (; to === null ? context.has(number) : number <= to; number += 1) {
    const text = context.get(number);
    if (text === undefined) missing ??= number;
    else {
      close(number - 1);
      items.push({ type: "context", old: number + delta, new: number, text, mark: null });
    }
  }
  if (to === null) missing ??= number;
  close(to);
  if (items.at(-1)?.gap) items.at(-1).header = header;
  return items;
}

// All rows and gaps of a file. context: the text of lines of the new version by number; total: how many there are, null
// while that is not known.
export function itemsOf(file, context, total) {
  const items = [];
  let old = 1;
  let fresh = 1;
  for (const { rows, header, newStart } of file.blocks) {
    if (file.hasMore) items.push(...between(context, fresh, newStart - 1, old - fresh, header));
    items.push(...rows);
    // Where a part has no line of one side, its start names the line before.
    old = (rows.findLast((row) => row.old !== null)?.old ?? old - 1) + 1;
    fresh = (rows.findLast((row) => row.new !== null)?.new ?? fresh - 1) + 1;
  }
  if (file.hasMore && (total === null || fresh <= total))
    items.push(...between(context, fresh, total, old - fresh, null));
  return items;
}

const AROUND = 3;

// What has to be read of the new version, so that these places {line, startLine, side} are not in gaps: a list of
// [first, last], which do not overlap, with some lines around each place. A place outside the gaps is passed over.
export function linesAround(items, places) {
  const found = [];
  for (const { line, startLine, side } of places) {
    const numberIn = ({ delta }) => line - (side === "old" ? delta : 0);
    const isIn = (gap) => gap.from <= numberIn(gap) && (gap.to === null || numberIn(gap) <= gap.to);
    const gap = items.find((item) => item.gap && isIn(item));
    if (!gap) continue;
    const last = numberIn(gap);
    const first = last - (line - (startLine ?? line));
    found.push([Math.max(gap.from, first - AROUND), Math.min(gap.to ?? Infinity, last + AROUND)]);
  }
  found.sort(([one], [other]) => one - other);
  const merged = [];
  for (const [first, last] of found) {
    const before = merged.at(-1);
    if (before && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else merged.push([first, last]);
  }
  return merged;
}

// All rows and gaps for two columns: a row is {left, right}, either of them null.
export function sideBySide(items) {
  const pairs = items.map((row) => (row.gap ? row : { left: row, right: row }));
  for (const [deleted, inserted, start] of [...runsOf(items)].reverse()) {
    const length = Math.max(deleted.length, inserted.length);
    const rows = Array.from({ length }, (_, index) => ({
      left: deleted[index] || null,
      right: inserted[index] || null,
    }));
    pairs.splice(start, deleted.length + inserted.length, ...rows);
  }
  return pairs;
}

// The row of one side of an item, whichever columns it has.
export function rowAt(item, side) {
  if (!item || item.gap) return null;
  const row = "left" in item ? item[side === "old" ? "left" : "right"] : item;
  return row && row[side] !== null ? row : null;
}
