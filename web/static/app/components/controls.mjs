// The small pieces every view is made of. They know nothing of the domain.
import { useLayoutEffect, useRef } from "preact/hooks";
import { canCopy, copyText } from "../browser/clipboard.mjs";
import { useAction } from "../server/loading.mjs";
import { t, tn } from "../words/language.mjs";
import { fullTime, isOwnForge, labelOf, relativeTime, tone, webUrl } from "../words/words.mjs";
import { html } from "./html.mjs";

export const classNames = (...names) => names.filter(Boolean).join(" ");

// A button that does `act` (async) once at a time; what fails is told in a toast.
export function Button({ act, kind, children, disabled, testid, small, ...rest }) {
  const [busy, run] = useAction();
  return html`<button
    type="button"
    class=${classNames("button", kind, small && "small")}
    disabled=${disabled || busy}
    aria-busy=${busy}
    data-testid=${testid}
    onClick=${() => run(act)}
    ...${rest}
  >
    ${children}
  </button>`;
}

// shown: the word to read and colour by, where it is not the state itself.
export const Badge = ({ word, testid, label, shown = word }) =>
  html`<span class=${`badge ${tone(shown)}`} data-state=${word} data-testid=${testid}>
    <i></i>
    ${label || labelOf(shown)}
  </span>`;

// round: 1, and one more for each time its work was sent back by a person or the platform, run or not.
export const SentBackChip = ({ round }) =>
  round > 1 &&
  html`<span class="chip" title=${t("How often its work was sent back to an agent")} data-testid="sent-back">
    ${tn(round - 1, "Sent back once", "Sent back {count} times")}
  </span>`;

export const Time = ({ at }) =>
  at ? html`<time datetime=${at} title=${fullTime(at)}>${relativeTime(at)}</time>` : null;

// A link out of the page; what is no http(s) address is shown as text.
export function ExternalLink({ href, children, testid, ...rest }) {
  const safe = webUrl(href);
  if (!safe) return html`<span data-testid=${testid}>${children}</span>`;
  return html`<a href=${safe} target="_blank" rel="noopener noreferrer" data-testid=${testid} ...${rest}>
    ${children}
    <${Icon} name="out" />
  </a>`;
}

// A text for a terminal, ready to be copied. said: what is told once it is.
export const CopyText = ({ text, kind = "ghost", testid, said }) => html`
  <code data-testid=${testid}>${text}</code>
  ${canCopy && html`<${Button} small kind=${kind} act=${() => copyText(text, said)}>${t("Copy")}<//>`}
`;

// The address of a repository: a page where the forge has some, else what to give to git.
export const CloneAddress = ({ url }) =>
  isOwnForge(url)
    ? html`<${CopyText} text=${`git clone ${url}`} said=${t("Copied. The password is an API token of yours.")} />`
    : html`<${ExternalLink} href=${url}>${url}<//>`;

const PATHS = {
  out: "M6 3H3v10h10v-3M9 3h4v4M13 3 7 9",
  close: "m4 4 8 8M12 4l-8 8",
  plus: "M8 3v10M3 8h10",
  menu: "M2 4h12M2 8h12M2 12h12",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9ZM10.5 10.5 14 14",
  board: "M2.5 3h3v10h-3zM6.500 3h3v6.500h-3zM10.500 3h3v8h-3z",
  tests: "M5 2h6M6 2v4l-3.500 7a1 1 0 0 0 .9 1.500h9.200a1 1 0 0 0 .9-1.500L10 6V2M4.500 10h7",
  activity: "M2 8h3l2-4.500 3 9L12 8h2",
  inbox: "M2.500 9h3l1 2h3l1-2h3M2.500 9v4h11V9l-2-6h-7Z",
  groups: "M4 3v4a4 4 0 0 0 4 4h4M4 3v10M12 11l-2-2M12 11l-2 2",
  deploy: "M8 2c3 2 4 5 3 9H5C4 7 5 4 8 2ZM6 11l-2 2.500M10 11l2 2.500",
  settings: "M3 4h10M3 8h10M3 12h10M6 2.500v3M10.500 6.500v3M5 10.500v3",
  agent: "M3.500 5.500h9v7h-9zM8 5.500V3M6 8.500v1M10 8.500v1",
  jobs: "M3 4h7M3 8h10M3 12h5M12 3v3",
  people:
    "M6 8a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5ZM2 13c0-2.500 2-4 4-4s4 1.500 4 4" +
    "M11 4a2 2 0 0 1 0 4M12 9.500c1.500.500 2 2 2 3.500",
  key: "M6 7a3 3 0 1 1 0 2H2.500V7ZM2.500 9v2",
  wide: "M9 3h4v4M7 13H3V9M13 3 9 7M3 13l4-4",
  models: "M8 2.500 13 5v6l-5 2.500L3 11V5ZM3 5l5 2.500L13 5M8 7.500v6",
  spend: "M3 13V9M6.500 13V6M10 13V8M13.500 13V3",
  check: "m3 8.500 3 3 7-7",
  docs: "M4 2.500h5.500l2.500 2.500v8.500H4zM6 7h4M6 10h4",
  branch: "M5 3.500v9M5 9c4 0 6-1 6-4.500",
};

export const Icon = ({ name }) =>
  html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false"><path d=${PATHS[name]} /></svg>`;

// Opens the dialog that makes one more of a list.
export const AddButton = ({ open, testid, children }) => html`
  <button type="button" class="button primary" data-testid=${testid} onClick=${open}>
    <${Icon} name="plus" />${children}
  </button>
`;

export const Empty = ({ title, children }) =>
  html`<div class="empty"><strong>${title}</strong><p>${children}</p></div>`;

export const Loading = () =>
  html`<div class="loading" role="status"><span class="spinner"></span>${t("Loading…")}</div>`;

// list: where its like are, {href, text}: what is not there any more is not there on a second try either.
export const LoadError = ({ error, again, list }) =>
  html`<div class="trouble" role="alert">
    <p>${error.message}</p>
    ${
      list && error.status === 404
        ? html`<a class="button small" href=${list.href}>${list.text}</a>`
        : again && html`<${Button} act=${again} small>${t("Try again")}<//>`
    }
  </div>`;

export const LoadMore = ({ pages }) =>
  pages.hasMore ? html`<${Button} act=${pages.more} kind="more" testid="load-more">${t("Load more")}<//>` : null;

// The three ways a list can look before it has rows, then its rows.
export function Listing({ pages, empty, children }) {
  if (pages.error) return html`<${LoadError} error=${pages.error} again=${pages.reload} />`;
  if (!pages.items) return html`<${Loading} />`;
  if (!pages.items.length) return empty;
  return html`${children}<${LoadMore} pages=${pages} />`;
}

export const Page = ({ title, actions, children, lead }) =>
  html`<main class="page" id="main">
    <header class="page-head">
      <div><h1>${title}</h1>${lead && html`<p>${lead}</p>`}</div>
      <div class="actions">${actions}</div>
    </header>
    ${children}
  </main>`;

const AT_END_PIXELS = 40;

// For a box of output, {ref, onScroll}: it is opened at its end, and stays there unless somebody has scrolled up to
// read. shown: something that is another one only when the output is.
export function useStickToEnd(shown) {
  const box = useRef();
  const isAtEnd = useRef(true);
  useLayoutEffect(() => {
    if (isAtEnd.current) box.current.scrollTop = box.current.scrollHeight;
  }, [shown]);
  const onScroll = ({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
    isAtEnd.current = scrollHeight - scrollTop - clientHeight < AT_END_PIXELS;
  };
  return { ref: box, onScroll };
}

// A program's output.
export function Output({ lines, empty, testid }) {
  const text = lines?.join("\n");
  const box = useStickToEnd(text);
  return html`<pre class="lines" ...${box} tabindex="0" role="group" aria-label=${t("Output")} data-testid=${testid}>
    ${lines?.length ? text : html`<span class="muted">${empty}</span>`}
  </pre>`;
}
