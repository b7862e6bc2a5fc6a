// Events that are on record, the newest first and page after page. What comes live is put in front.
import { useEffect, useRef, useState } from "preact/hooks";
import { toastError } from "../browser/toasts.mjs";
import { retryLater } from "./api.mjs";
import { useLiveEvents } from "./loading.mjs";

// The most that one answer holds.
const MAX_EVENTS = 500;
const NONE = { events: null, hasMore: false, error: null };

// {events, hasMore, error, more, again}. key: says which events; with another one it begins anew, without one it reads
// nothing. ask: asks the API for them with a query. concerns: whether a live message tells of one. limit: how many are
// read at once.
export function useEventHistory(key, ask, concerns, limit = MAX_EVENTS) {
  const [state, setState] = useState(NONE);
  const latest = useRef();
  latest.current = { key, events: state.events };
  const read = async (beforeSeq) => {
    try {
      const { events } = await ask({ order: "newest", beforeSeq, limit });
      if (latest.current.key !== key) return;
      setState((old) => {
        // The newest were read again meanwhile: between them and these may be others.
        if (beforeSeq && old.events.at(-1)?.seq !== beforeSeq) return old;
        const shown = beforeSeq ? [...old.events, ...events] : events;
        return { events: shown, hasMore: events.length === limit, error: null };
      });
    } catch (error) {
      if (latest.current.key !== key) return;
      // What is shown stays: the button that asked for more says what failed.
      if (latest.current.events) throw error;
      setState((old) => ({ ...old, error }));
      retryLater(error, () => latest.current.key === key && !latest.current.events && read().catch(toastError));
    }
  };
  const renew = async () => {
    if (!key) return undefined;
    const newest = latest.current.events?.[0];
    if (!newest) return read();
    const { events } = await ask({ afterSeq: newest.seq, limit: MAX_EVENTS });
    if (latest.current.key !== key) return undefined;
    if (events.length === MAX_EVENTS) return read();
    // Another answer may have come meanwhile: what it brought is there already.
    return setState((old) => {
      if (!old.events) return old;
      const last = old.events[0]?.seq ?? 0;
      return { ...old, events: [...events.filter(({ seq }) => seq > last).reverse(), ...old.events] };
    });
  };
  useEffect(() => {
    setState(NONE);
    if (key) read().catch(toastError);
  }, [key]);
  // Nothing more is read for a view that is gone.
  useEffect(() => () => void (latest.current = { key: null }), []);
  // What is missed here is brought by no later message.
  const hear = () =>
    renew().catch((error) => {
      if (latest.current.key !== key) return;
      toastError(error);
      retryLater(error, () => latest.current.key === key && hear());
    });
  useLiveEvents(concerns, hear);
  return { ...state, more: () => read(state.events.at(-1).seq), again: () => read() };
}
