// The small pieces every view is made of. They know nothing of the domain.
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { canCopy, copyText } from "../browser/clipboard.mjs";
import { keepDraft, keptDraft } from "../browser/drafts.mjs";
import { useHeldFocus } from "../browser/focus.mjs";
import { failed } from "../browser/toasts.mjs";
import { useAct } from "../server/loading.mjs";
import { t, tn } from "../words/language.mjs";
import { ago, exact, isOwnForge, say, tone, webUrl } from "../words/words.mjs";
import { html } from "./html.mjs";

export const cls = (...names) => names.filter(Boolean).join(" ");

// A button that does `act` (async) once at a time; what fails is told in a toast.
export function Button({ act, kind, children, disabled, testid, small, ...rest }) {
  const [busy, run] = useAct();
  return html`<button
    type="button"
    class=${cls("button", kind, small && "small")}
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
    ${label || say(shown)}
  </span>`;

// round: 1, and one more for each time its work was sent back by a person or the platform, run or not.
export const SentBack = ({ round }) =>
  round > 1 &&
  html`<span class="chip" title=${t("How often its work was sent back to an agent")} data-testid="sent-back">
    ${tn(round - 1, "Sent back once", "Sent back {count} times")}
  </span>`;

export const Time = ({ at }) => (at ? html`<time datetime=${at} title=${exact(at)}>${ago(at)}</time>` : null);

// A link out of the page; what is no http(s) address is shown as text.
export function OutLink({ href, children, testid, ...rest }) {
  const safe = webUrl(href);
  if (!safe) return html`<span data-testid=${testid}>${children}</span>`;
  return html`<a href=${safe} target="_blank" rel="noopener noreferrer" data-testid=${testid} ...${rest}>
    ${children}
    <${Icon} name="out" />
  </a>`;
}

// The address of a repository: a page where the forge has some, else what to give to git.
export function CloneAddress({ url }) {
  if (!isOwnForge(url)) return html`<${OutLink} href=${url}>${url}<//>`;
  const copy = () => copyText(`git clone ${url}`, t("Copied. The password is an API token of yours."));
  return html`
    <code>git clone ${url}</code>
    ${canCopy && html`<${Button} small kind="ghost" act=${copy}>${t("Copy")}<//>`}
  `;
}

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
export const New = ({ open, testid, children }) => html`
  <button type="button" class="button primary" data-testid=${testid} onClick=${open}>
    <${Icon} name="plus" />${children}
  </button>
`;

export const Empty = ({ title, children }) =>
  html`<div class="empty"><strong>${title}</strong><p>${children}</p></div>`;

export const Loading = () =>
  html`<div class="loading" role="status"><span class="spinner"></span>${t("Loading…")}</div>`;

// list: where its like are, {href, text}: what is not there any more is not there on a second try either.
export const Trouble = ({ error, again, list }) =>
  html`<div class="trouble" role="alert">
    <p>${error.message}</p>
    ${
      list && error.status === 404
        ? html`<a class="button small" href=${list.href}>${list.text}</a>`
        : again && html`<${Button} act=${again} small>${t("Try again")}<//>`
    }
  </div>`;

// One labelled control: `control` is a function of the id that ties it to its label, and of the attributes that tie it
// to its hint and to what is wrong.
export function Field({ label, hint, control, error }) {
  const id = useId();
  const [ofHint, ofError] = [`${id}-hint`, `${id}-error`];
  const said = {
    "aria-describedby": cls(hint && ofHint, error && ofError) || undefined,
    "aria-invalid": error ? "true" : undefined,
  };
  return html`<div class=${cls("field", error && "wrong")}>
    <label for=${id}>${label}</label>
    ${control(id, said)}
    ${hint && html`<small id=${ofHint}>${hint}</small>`}
    ${error && html`<small id=${ofError} class="error">${error}</small>`}
  </div>`;
}

// What the server says of this field, or of something within it: "prices.x.input" is said beside "prices".
// shown: how a value of the field is shown. form.theirs: {name: value} that somebody else saved while other values are
// here.
export const faultOf = (form, name, shown = (value) => value) => {
  const theirs = form.theirs?.[name];
  if (theirs !== undefined) return t("Somebody else saved: {value}", { value: shown(theirs) || "–" });
  const { field, message } = form.fault || {};
  return field === name || field?.startsWith(`${name}.`) ? message : null;
};

// Text in a form's draft: draft is {name: value}, change(name, value).
export function TextField({ label, hint, name, form, testid, rows, type = "text", ...rest }) {
  const shared = (id, said) => ({
    id,
    name,
    ...said,
    value: form.draft[name] ?? "",
    "data-testid": testid,
    onInput: (event) => form.change(name, event.target.value),
    ...rest,
  });
  return html`<${Field}
    label=${label}
    hint=${hint}
    error=${faultOf(form, name)}
    control=${(id, said) =>
      rows
        ? html`<textarea rows=${rows} ...${shared(id, said)}></textarea>`
        : html`<input type=${type} autocomplete="off" ...${shared(id, said)} />`}
  />`;
}

export function SelectField({ label, hint, name, form, options, testid, ...rest }) {
  return html`<${Field}
    label=${label}
    hint=${hint}
    error=${faultOf(form, name, (theirs) => options.find(([value]) => value === theirs)?.[1] ?? theirs)}
    control=${(id, said) =>
      html`<select
        id=${id}
        name=${name}
        ...${said}
        value=${form.draft[name] ?? ""}
        data-testid=${testid}
        onChange=${(event) => form.change(name, event.target.value)}
        ...${rest}
      >
        ${options.map(([value, text]) => html`<option key=${value} value=${value}>${text}</option>`)}
      </select>`}
  />`;
}

export function CheckField({ label, hint, name, form }) {
  return html`<label class="check">
    <input
      type="checkbox"
      name=${name}
      checked=${!!form.draft[name]}
      onChange=${(event) => form.change(name, event.target.checked)}
    />
    <span>${label}${hint && html`<small>${hint}</small>`}</span>
  </label>`;
}

const fromKey = (key) => `${key}.from`;

// {draft, change, busy, fault, submit(act), reset, saved(values), renew(values), isKept}: a fault stays beside the form
// until the next try; where the form is gone by then, a toast tells it. saved: these values, {name: value}, need not be
// sent any more. renew: these are what is saved now, and go into the fields that were not changed here. Returns {draft,
// clashes}: the draft as it is then, and the names of the fields that were changed here and by others, to different
// values.
// keepAs: the key in ../browser/drafts.mjs under which what was changed outlives the form until it is sent or reset, if
// it is to. unkept: names of what is never kept, such as secrets. isKept: whether the form began with what was kept.
// What its fields had before is kept, too: renew compares with that, so what others saved meanwhile is among the
// clashes.
export function useForm(initial, keepAs, unkept = []) {
  const [kept] = useState(() => keepAs && keptDraft(keepAs));
  const [draft, setDraft] = useState(() => ({ ...initial, ...kept }));
  const [isKept, setKept] = useState(Boolean(kept));
  const [fault, setFault] = useState(null);
  const [busy, setBusy] = useState(false);
  // {name: value} of what is kept: what was there when it was changed here first.
  const from = useRef(kept ? keptDraft(fromKey(keepAs)) || {} : {});
  const begun = useRef({ ...initial, ...from.current });
  const latest = useRef(draft);
  const isGone = useRef(false);
  const holdFocus = useHeldFocus(busy);
  useLayoutEffect(() => () => void (isGone.current = true), []);
  // Only what was changed: what others change in the meantime is not taken back by an old draft.
  const keep = () => {
    if (!keepAs) return;
    const changed = Object.entries(latest.current).filter(
      ([name, value]) => value !== begun.current[name] && !unkept.includes(name),
    );
    const before = (name, value) => {
      const old = from.current[name];
      return old === undefined || old === value ? begun.current[name] : old;
    };
    from.current = Object.fromEntries(changed.map(([name, value]) => [name, before(name, value)]));
    keepDraft(keepAs, changed.length ? Object.fromEntries(changed) : null);
    keepDraft(fromKey(keepAs), changed.length ? from.current : null);
  };
  const take = (values) => {
    latest.current = values;
    setDraft(values);
    keep();
  };
  const change = (name, value) => take({ ...latest.current, [name]: value });
  const saved = (values) => {
    begun.current = values;
    from.current = {};
    setKept(false);
    keep();
  };
  const renew = (values) => {
    const old = begun.current;
    const differ = (some, others) => Object.keys(values).filter((name) => some[name] !== others[name]);
    const changed = differ(latest.current, old);
    const fresh = { ...values, ...Object.fromEntries(changed.map((name) => [name, latest.current[name]])) };
    begun.current = values;
    take(fresh);
    return { draft: fresh, clashes: differ(values, old).filter((name) => fresh[name] !== values[name]) };
  };
  const reset = () => {
    saved(initial);
    take(initial);
  };
  const submit = (act) => async (event) => {
    event?.preventDefault();
    if (busy) return;
    holdFocus();
    setBusy(true);
    setFault(null);
    try {
      await act(draft);
      if (latest.current === draft) saved(draft);
    } catch (error) {
      if (error.status === undefined || isGone.current) failed(error);
      else setFault(error);
    } finally {
      setBusy(false);
    }
  };
  return { draft, change, busy, fault, submit, reset, saved, renew, isKept };
}

// Says that a form goes on with what was written in it before.
export const KeptDraft = ({ form }) =>
  form.isKept &&
  html`<p class="banner busy" data-testid="draft-kept">
    <span>${t("What you wrote here is not saved yet.")}</span>
    <button type="button" class="button small" onClick=${() => form.reset()}>${t("Discard")}</button>
  </p>`;

export const Fault = ({ form }) => (form.fault ? html`<p class="fault" role="alert">${form.fault.message}</p>` : null);

export const More = ({ pages }) =>
  pages.hasMore ? html`<${Button} act=${pages.more} kind="more" testid="load-more">${t("Load more")}<//>` : null;

// The three ways a list can look before it has rows, then its rows.
export function Listing({ pages, empty, children }) {
  if (pages.error) return html`<${Trouble} error=${pages.error} again=${pages.reload} />`;
  if (!pages.items) return html`<${Loading} />`;
  if (!pages.items.length) return empty;
  return html`${children}<${More} pages=${pages} />`;
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
export function useEnd(shown) {
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
export function Lines({ lines, empty, testid }) {
  const text = lines?.join("\n");
  const box = useEnd(text);
  return html`<pre class="lines" ...${box} tabindex="0" role="group" aria-label=${t("Output")} data-testid=${testid}>
    ${lines?.length ? text : html`<span class="muted">${empty}</span>`}
  </pre>`;
}
