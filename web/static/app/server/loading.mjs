// Hooks that read the API and keep what they read fresh while a view is open.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { useRestoredFocus } from "../browser/focus.mjs";
import { toastError } from "../browser/toasts.mjs";
import { api, retryLater } from "./api.mjs";
import { followTask, listen, watchProject } from "./live-events.mjs";

// Every item of a paged list.
export async function readAll(path, name) {
  const found = [];
  let cursor;
  do {
    const reply = await api.get(path, { limit: 200, cursor });
    found.push(...reply[name]);
    cursor = reply.nextCursor;
  } while (cursor);
  return found;
}

// Calls `act` once, shortly after the last of several live messages that `concerns` says yes to.
export function useLiveEvents(concerns, act) {
  const latest = useRef();
  latest.current = { concerns, act };
  useEffect(() => {
    let timer = 0;
    const end = listen((message) => {
      if (message.event !== "resync" && message.event !== "connected" && !latest.current.concerns(message)) return;
      // Not moved by later messages, so a busy project still shows something four times a second.
      timer ||= setTimeout(() => {
        timer = 0;
        latest.current.act();
      }, 250);
    });
    return () => {
      clearTimeout(timer);
      end();
    };
  }, []);
}

// Calls `act` every `ms` milliseconds while `isOn` and the page can be seen: for what no event tells.
export function useInterval(ms, act, isOn = true) {
  const latest = useRef();
  latest.current = act;
  useEffect(() => {
    const timer = isOn ? setInterval(() => !document.hidden && latest.current(), ms) : 0;
    return () => clearInterval(timer);
  }, [ms, isOn]);
}

export const useProjectFeed = (projectId) =>
  useEffect(() => (projectId ? watchProject(projectId) : undefined), [projectId]);
export const useTaskLogs = (taskId) => useEffect(() => (taskId ? followTask(taskId) : undefined), [taskId]);

// What was asked for waits this long for the answer to what was asked for before: a link that froze gives none.
const LONGEST_WAIT_MS = 10_000;

// Runs `act` (async, throws nothing) once those are over that were asked for before. One that waits already is not run
// twice: events may come faster than answers, and each answer is shown. It is given `isNews`, for when it has its
// answer: whether none is shown yet that was asked for later.
export function inOrder() {
  const waiting = new Map();
  let last = Promise.resolve();
  let begun = 0;
  let shown = 0;
  const begin = (act) => {
    waiting.delete(act);
    const mine = ++begun;
    return act(() => mine === (shown = Math.max(shown, mine)));
  };
  return (act) => {
    if (!waiting.has(act)) {
      const patience = new Promise((resolve) => setTimeout(resolve, LONGEST_WAIT_MS));
      last = Promise.race([last, patience]).then(() => begin(act));
      waiting.set(act, last);
    }
    return waiting.get(act);
  };
}

// {value, error, reload}: value stays while it is read again; answers that come late for an earlier path are dropped.
export function useRead(path, query = {}, { pause = false } = {}) {
  const [state, setState] = useState({ path: null, value: null, error: null });
  const shown = useRef();
  const key = path + JSON.stringify(query);
  const reload = useMemo(() => {
    const turn = inOrder();
    let reads = 0;
    const again = async () => {
      if (path && !pause) await turn(read);
    };
    const isOver = () => shown.current !== again;
    const read = async (isNews) => {
      if (isOver()) return;
      const mine = ++reads;
      try {
        const value = await api.get(path, query);
        if (!isOver() && isNews()) setState({ path: key, value, error: null });
      } catch (error) {
        if (isOver() || !isNews()) return;
        setState((old) => ({ path: key, value: old.path === key ? old.value : null, error }));
        // No event may come that would make it be read again.
        retryLater(error, () => mine === reads && again());
      }
    };
    return again;
  }, [key, pause]);
  useEffect(() => {
    shown.current = reload;
    reload();
    return () => {
      shown.current = null;
    };
  }, [reload]);
  const fresh = state.path === key;
  return { value: fresh ? state.value : null, error: fresh ? state.error : null, reload };
}

// A paged list: {items, error, hasMore, more, reload}; items is null until the first answer.
export function usePages(path, name, query = {}) {
  const [state, setState] = useState({});
  const shown = useRef();
  const key = path + JSON.stringify(query);
  const list = useMemo(() => {
    const turn = inOrder();
    let kept = {};
    let reads = 0;
    const isOver = () => shown.current !== acts;
    const read = async (from, isNews) => {
      // Read again, the list keeps its length.
      const wanted = from ? 50 : Math.min(1000, Math.max(50, kept.items?.length ?? 0));
      const items = [];
      let cursor = from;
      do {
        const reply = await api.get(path, { ...query, limit: Math.min(200, wanted - items.length), cursor });
        items.push(...reply[name]);
        cursor = reply.nextCursor;
      } while (cursor && items.length < wanted);
      if (isOver() || !isNews() || (from && from !== kept.cursor)) return;
      kept = { items: from ? [...kept.items, ...items] : items, cursor };
      setState({ key, ...kept, error: null });
    };
    const first = async (isNews) => {
      if (isOver()) return;
      const mine = ++reads;
      try {
        await read(null, isNews);
      } catch (error) {
        if (isOver() || !isNews()) return;
        if (!kept.items) setState({ key, items: null, error });
        retryLater(error, () => mine === reads && acts.reload());
      }
    };
    const next = async (isNews) => {
      if (!isOver() && kept.cursor) await read(kept.cursor, isNews).catch((error) => isOver() || toastError(error));
    };
    const acts = {
      reload: async () => {
        if (path) await turn(first);
      },
      more: () => turn(next),
    };
    return acts;
  }, [key]);
  useEffect(() => {
    shown.current = list;
    list.reload();
    return () => {
      shown.current = null;
    };
  }, [list]);
  const fresh = state.key === key;
  return {
    items: fresh ? state.items : null,
    error: fresh ? state.error : null,
    hasMore: fresh && !!state.cursor,
    more: list.more,
    reload: list.reload,
  };
}

// [busy, run]: run(act) keeps a second click away, shows what fails and returns whether it went well.
export function useAction() {
  const [busy, setBusy] = useState(false);
  const going = useRef(false);
  const holdFocus = useRestoredFocus(busy);
  const run = async (act) => {
    if (going.current) return false;
    going.current = true;
    holdFocus();
    setBusy(true);
    try {
      await act();
      return true;
    } catch (error) {
      toastError(error);
      return false;
    } finally {
      going.current = false;
      setBusy(false);
    }
  };
  return [busy, run];
}
