// A task's change, to be read, tried and judged: checks, files, diff with comments, the preview, and a verdict.
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { hasNoModifier, useKeyDown } from "../../browser/keyboard.mjs";
import { classNames, LoadError, Loading } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { Diff, useDiffFiles } from "../../diff/diff.mjs";
import { api } from "../../server/api.mjs";
import { loadStyle } from "../../server/load-files.mjs";
import { useRead } from "../../server/loading.mjs";
import { hasRole } from "../../server/session.mjs";
import { useReview } from "../../state/review-drafts.mjs";
import { t, tn } from "../../words/language.mjs";
import { PreviewFrame } from "./preview-frame.mjs";
import { PreviewPictures } from "./preview-pictures.mjs";
import { ReviewChecks } from "./review-checks.mjs";
import { FileTree } from "./review-files.mjs";
import { FinishReview, verdictsFor } from "./review-finish.mjs";
import { onViewedElsewhere, storedMode, storeMode, storeViewed, viewedPaths } from "./viewed-files.mjs";

const HAS_DIFF = ["ready_to_test", "approved", "staging", "production", "in_progress", "needs_input", "failed"];
const NARROWEST_SPLIT = 720;
const TYPED = "input,textarea,select,dialog,[contenteditable]";

// The task's diff: {path, diff, error, isOld, readAgain}. path: null where there is none. isOld: the diff is of another
// commit than the task's by now. It stays while the newer one is read, and where that fails.
export function useTaskDiff(task) {
  const path = task.branchName && HAS_DIFF.includes(task.state) ? `/tasks/${task.id}/diff` : null;
  const { value: diff, error, reload: readAgain } = useRead(path);
  const isOld = Boolean(diff?.patch && task.headSha) && diff.headSha !== task.headSha;
  useEffect(() => {
    if (diff && diff.headSha !== task.headSha) readAgain();
  }, [task.headSha, task.state, isOld]);
  return { path, diff, error, isOld, readAgain };
}

// changes: by useDiff.
export function Review({ task, changes, reload }) {
  const { path, diff, error, isOld, readAgain } = changes;
  const [isStyled, setStyled] = useState(false);
  useEffect(() => {
    loadStyle("/static/css/review.css").then(() => setStyled(true));
  }, []);
  if (!isStyled) return html`<${Loading} />`;
  const failed = error && error.status !== 404 && !diff;
  return html`<div class="review">
    <${ReviewChecks} task=${task} reload=${reload} />
    <${PreviewPictures} task=${task} />
    ${
      path &&
      html`<section data-testid="task-diff" class="review-changes" aria-label=${t("Changes")}>
        ${isOld && error && html`<${LoadError} error=${error} again=${readAgain} />`}
        ${
          failed
            ? html`<${LoadError} error=${error} again=${readAgain} />`
            : !diff && !error
              ? html`<${Loading} />`
              : !diff?.patch
                ? html`<h2>${t("Changes")}</h2><p class="muted">${t("Nothing has been pushed yet.")}</p>`
                : html`<${Changes} task=${task} diff=${diff} reload=${reload} />`
        }
      </section>`
    }
  </div>`;
}

// Whether there is room for two columns of code.
function useRoom(box) {
  const [isWide, setWide] = useState(true);
  useEffect(() => {
    const watch = new ResizeObserver(([{ contentRect }]) => setWide(contentRect.width >= NARROWEST_SPLIT));
    watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  return isWide;
}

function useViewed(task, headSha) {
  const [paths, setPaths] = useState(() => viewedPaths(task.id, headSha));
  useEffect(() => {
    const take = () => setPaths(viewedPaths(task.id, headSha));
    take();
    return onViewedElsewhere(take);
  }, [task.id, headSha]);
  const set = (path, isViewed) => {
    const fresh = new Set(paths);
    if (isViewed) fresh.add(path);
    else fresh.delete(path);
    storeViewed(task.id, headSha, fresh);
    setPaths(fresh);
  };
  return [paths, set];
}

// Moves among the files of the diff in `box`.
function walker(box) {
  const files = () => [...box.current.querySelectorAll(".diff-file")];
  const present = () => {
    const focused = document.activeElement?.closest(".diff-file");
    const top = box.current.querySelector(".review-bar").getBoundingClientRect().bottom + 8;
    return focused || files().findLast((file) => file.getBoundingClientRect().top <= top) || null;
  };
  const show = (file) => {
    file?.scrollIntoView({ block: "start" });
    file?.querySelector(".fold").focus({ preventScroll: true });
  };
  const step = (by) => {
    const all = files();
    show(all[Math.max(0, Math.min(all.length - 1, all.indexOf(present()) + by))]);
  };
  return { present, step, show: (index) => show(files()[index]) };
}

function useKeys(acts) {
  useKeyDown((event) => {
    const act = acts[event.key];
    if (!act || !hasNoModifier(event) || event.defaultPrevented) return;
    if (event.target.closest?.(TYPED) && event.target.type !== "checkbox") return;
    if (document.querySelector("dialog[open]")) return;
    event.preventDefault();
    act();
  });
}

function Changes({ task, diff, reload }) {
  const review = useReview(task.id);
  review.reload = reload;
  useEffect(() => {
    // Another window of the same person may have submitted it.
    review.load().catch(() => {});
  }, [task.state, task.comments?.length]);
  const { files, error } = useDiffFiles(diff);
  const [mode, setMode] = useState(storedMode);
  const [viewed, setViewed] = useViewed(task, diff.headSha);
  const box = useRef();
  const hasRoom = useRoom(box);
  const walk = useMemo(() => walker(box), []);
  const read = useCallback(
    (path, firstLine, lastLine) =>
      api.get(`/tasks/${task.id}/file`, { path, commitSha: diff.headSha, firstLine, lastLine }),
    [task.id, diff.headSha],
  );
  const choose = (chosen) => {
    storeMode(chosen);
    setMode(chosen);
  };
  const finish = (verdict) => {
    if (hasRole("member") && verdictsFor(task).includes(verdict)) review.finishing.value = verdict;
  };
  useKeys({
    j: () => walk.step(1),
    k: () => walk.step(-1),
    v: () => {
      const file = walk.present();
      if (!file) return;
      const isViewed = viewed.has(file.dataset.path);
      setViewed(file.dataset.path, !isViewed);
      if (!isViewed) walk.show(Number(file.dataset.index) + 1);
    },
    a: () => finish("approve"),
    r: () => finish("reject"),
  });
  const shown = hasRoom ? mode : "unified";
  return html`<div class="review-box" ref=${box}>
    <header class="review-bar">
      <h2>${t("Changes")}</h2>
      <${Total} files=${diff.files || []} />
      <span class="grow"></span>
      ${hasRoom && html`<${Mode} mode=${mode} choose=${choose} />`}
      ${
        hasRole("member") &&
        html`<button
          type="button"
          class=${classNames("button", review.count.value > 0 && "primary")}
          data-testid="review-finish"
          aria-expanded=${review.finishing.value !== null}
          onClick=${() => (review.finishing.value = review.finishing.value ? null : "comment")}
        >
          ${t("Finish the review")}<${Count} review=${review} />
        </button>`
      }
    </header>
    ${
      review.finishing.value !== null &&
      html`<${FinishReview} task=${task} review=${review} headSha=${diff.headSha} reload=${reload} />`
    }
    ${
      diff.truncated &&
      html`<p class="banner ask">${t("This diff is too long to show whole. The rest is in the branch.")}</p>`
    }
    <div class=${classNames("review-body", (files?.length || 0) > 1 && "has-files")}>
      ${files?.length > 1 && html`<${FileTree} files=${files} viewed=${viewed} show=${walk.show} />`}
      <${Preview} task=${task} />
      <${Diff}
        files=${files}
        error=${error}
        headSha=${diff.headSha}
        mode=${shown}
        review=${review}
        may=${hasRole("member")}
        comments=${task.comments || []}
        viewed=${viewed}
        setViewed=${setViewed}
        read=${read}
      />
    </div>
    <p class="muted review-keys">
      ${t("Keys: j and k go from file to file, v marks one as viewed, a approves, r rejects.")}
      ${
        hasRole("member") &&
        html`<br />${t("Choose a line to comment on it, or drag over several numbers; or use arrows and Enter.")}`
      }
    </p>
  </div>`;
}

const Count = ({ review }) => (review.count.value ? ` (${review.count.value})` : null);

function Total({ files }) {
  const sum = (name) => files.reduce((total, file) => total + (file[name] || 0), 0);
  return html`<span class="muted">
    ${tn(files.length, "{count} file", "{count} files")} <b class="plus">+${sum("additions")}</b> ${" "}
    <b class="minus">−${sum("deletions")}</b>
  </span>`;
}

const MODES = [
  ["unified", () => t("Unified")],
  ["split", () => t("Side by side")],
];

const Mode = ({ mode, choose }) =>
  html`<span class="modes" role="group" aria-label=${t("How the diff is shown")}>
  ${MODES.map(
    ([one, label]) =>
      html`<button
        key=${one}
        type="button"
        class="button small"
        aria-pressed=${mode === one}
        data-testid=${`diff-${one}`}
        onClick=${() => choose(one)}
      >
        ${label()}
      </button>`,
  )}
</span>`;

// Beside the diff once it is shown; a button until then.
function Preview({ task }) {
  const live = (task.deployments || []).filter(
    ({ environment, status }) => environment === "preview" && status === "completed",
  );
  const newest = live.sort((one, other) => (one.id < other.id ? 1 : -1))[0];
  if (!task.previewUrl || !newest) return null;
  return html`<aside class="review-preview" aria-label=${t("Preview")}>
    <span class="muted">${t("Preview")}</span>
    <${PreviewFrame} deploymentId=${newest.id} href=${task.previewUrl} />
  </aside>`;
}
