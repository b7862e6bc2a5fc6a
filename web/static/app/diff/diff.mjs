// A unified diff as files that can be read and commented on. Every text of it is text: nothing is set as HTML.
import { useEffect, useMemo, useState } from "preact/hooks";
import { Loading } from "../components/controls.mjs";
import { html } from "../components/html.mjs";
import { diff2html, loadStyle } from "../server/load-files.mjs";
import { DiffFile } from "./diff-file.mjs";
import { diffFiles, testFilesFirst } from "./diff-rows.mjs";
import { parsePatch } from "./parse-patch.mjs";

const nothing = () => ({ said: [], older: [], pending: [], waiting: [], editors: [], strayed: [] });
const NOTHING = nothing();
const isDeletion = ({ status: change }) => change === "deleted";

// What was said and is being said, as a function of a file. older, waiting, strayed: said, pending and being written on
// other versions, whose lines are not those of this one. A file that becomes a link, or was one, is among the files
// twice: as a deleted one, which has the old side, and as a new one.
function notesByFile(files, comments, pending, editors, headSha) {
  const paths = files.map(({ path }) => path);
  const inParts = new Set(paths.filter((path, at) => paths.indexOf(path) !== at));
  const found = new Map();
  const keyOf = (path, isOfOld) => `${inParts.has(path) && isOfOld} ${path}`;
  const put = (kind, one) => {
    const key = keyOf(one.path, one.side === "old");
    if (!found.has(key)) found.set(key, nothing());
    found.get(key)[kind].push(one);
  };
  for (const one of comments)
    if (one.path) put(one.line && (!one.commitSha || one.commitSha === headSha) ? "said" : "older", one);
  for (const one of pending) if (one.path) put(one.commitSha === headSha ? "pending" : "waiting", one);
  for (const one of editors) put(one.commitSha === headSha ? "editors" : "strayed", one);
  return (file) => found.get(keyOf(file.path, isDeletion(file))) || NOTHING;
}

// {files, error} of a diff as the API has it; files is null until it is read.
export function useDiffFiles(diff) {
  const [library, setLibrary] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => {
    Promise.all([diff2html(), loadStyle("/static/css/diff.css")]).then(
      ([loaded]) => setLibrary(() => loaded),
      setError,
    );
  }, []);
  const files = useMemo(
    () =>
      library && diff
        ? testFilesFirst(diffFiles(parsePatch(library, diff.patch, {}), diff.files || [], { isCut: diff.truncated }))
        : null,
    [library, diff?.patch],
  );
  return { files, error };
}

// review: see ../state/review-drafts.mjs. comments: of the task. may: whether the person may comment. viewed: a set of
// paths.
export function Diff({ files, error, headSha, mode, review, may, comments, viewed, setViewed, read }) {
  const notesOf = useMemo(
    () => notesByFile(files || [], comments, review.pending.value, review.editors.value, headSha),
    [files, comments, review.pending.value, review.editors.value, headSha],
  );
  if (error) return html`<p class="fault">${error.message}</p>`;
  if (!files) return html`<${Loading} />`;
  return html`<div class="diff">
    ${files.map(
      (file, index) =>
        html`<${DiffFile}
          key=${`${isDeletion(file)} ${file.path}`}
          file=${file}
          index=${index}
          head=${headSha}
          mode=${mode}
          review=${review}
          may=${may}
          notes=${notesOf(file)}
          viewed=${viewed.has(file.path)}
          setViewed=${setViewed}
          read=${read}
        />`,
    )}
  </div>`;
}

const NO_REVIEW = { pending: { value: [] }, editors: { value: [] } };

// A diff to read: without comments, and nothing of it is kept. diff: as the API has it.
export function PlainDiff({ diff }) {
  const { files, error } = useDiffFiles(diff);
  const [viewed, setViewed] = useState(new Set());
  const mark = (path, isViewed) => {
    const fresh = new Set(viewed);
    if (isViewed) fresh.add(path);
    else fresh.delete(path);
    setViewed(fresh);
  };
  return html`<${Diff}
    files=${files}
    error=${error}
    headSha=${diff.headSha}
    mode="unified"
    review=${NO_REVIEW}
    comments=${[]}
    viewed=${viewed}
    setViewed=${mark}
    read=${null}
  />`;
}
