// The state of a form: what is written in it, whether it is being sent, and what is wrong with it.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { storedDraft, storeDraft } from "../browser/drafts.mjs";
import { useRestoredFocus } from "../browser/focus.mjs";
import { toastError } from "../browser/toasts.mjs";
import { classNames } from "../components/controls.mjs";
import { html } from "../components/html.mjs";
import { t } from "../words/language.mjs";

// What the server says of this field, or of something within it: "prices.x.input" is said beside "prices".
// shown: how a value of the field is shown. form.theirs: {name: value} that somebody else saved while other values are
// here.
export const fieldError = (form, name, shown = (value) => value) => {
  const theirs = form.theirs?.[name];
  if (theirs !== undefined) return t("Somebody else saved: {value}", { value: shown(theirs) || "–" });
  const { field, message } = form.fault || {};
  return field === name || field?.startsWith(`${name}.`) ? message : null;
};

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
  const [kept] = useState(() => keepAs && storedDraft(keepAs));
  const [draft, setDraft] = useState(() => ({ ...initial, ...kept }));
  const [isKept, setKept] = useState(Boolean(kept));
  const [fault, setFault] = useState(null);
  const [busy, setBusy] = useState(false);
  // {name: value} of what is kept: what was there when it was changed here first.
  const from = useRef(kept ? storedDraft(fromKey(keepAs)) || {} : {});
  const begun = useRef({ ...initial, ...from.current });
  const latest = useRef(draft);
  const isGone = useRef(false);
  const holdFocus = useRestoredFocus(busy);
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
    storeDraft(keepAs, changed.length ? Object.fromEntries(changed) : null);
    storeDraft(fromKey(keepAs), changed.length ? from.current : null);
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
      if (error.status === undefined || isGone.current) toastError(error);
      else setFault(error);
    } finally {
      setBusy(false);
    }
  };
  return { draft, change, busy, fault, submit, reset, saved, renew, isKept };
}

// Says that a form goes on with what was written in it before.
export const RestoredDraftNotice = ({ form }) =>
  form.isKept &&
  html`<p class="banner busy" data-testid="draft-kept">
    <span>${t("What you wrote here is not saved yet.")}</span>
    <button type="button" class="button small" onClick=${() => form.reset()}>${t("Discard")}</button>
  </p>`;

export const FormError = ({ form }) =>
  form.fault ? html`<p class="fault" role="alert">${form.fault.message}</p>` : null;

// The end of a form: what is wrong with it, and its buttons. cancel: closes the form; none without it.
export const FormEnd = ({ form, cancel, kind = "primary", testid, disabled, children }) => html`
  <${FormError} form=${form} />
  <footer>
    ${cancel && html`<button type="button" class="button" onClick=${cancel}>${t("Cancel")}</button>`}
    <button class=${classNames("button", kind)} data-testid=${testid} disabled=${form.busy || disabled}>
      ${children}
    </button>
  </footer>
`;
