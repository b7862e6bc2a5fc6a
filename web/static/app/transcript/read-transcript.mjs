// A run's transcript: read over REST from its end to its beginning, then kept growing by task:log. In order by seq,
// each entry once.
import { useEffect, useState } from "preact/hooks";
import { api, retryLater } from "../server/api.mjs";
import { listen } from "../server/live-events.mjs";
import { useTaskLogs } from "../server/loading.mjs";

// What is read first is shown at once, so it is little.
const FIRST_PAGE = 250;
const PAGE = 1000;
const VERY_END = Number.MAX_SAFE_INTEGER;
const MOST_PAGES = 500;
const SHOWN_EVERY_MS = 1500;

// Both lists are in the order of seq; an entry that is there already stays as it is.
function mergeEntries(old, fresh) {
  if (!fresh.length) return old;
  if (fresh[0].seq > (old.at(-1)?.seq ?? -1)) return [...old, ...fresh];
  if (fresh.at(-1).seq < old[0].seq) return [...fresh, ...old];
  const known = new Set(old.map(({ seq }) => seq));
  const added = fresh.filter(({ seq }) => !known.has(seq));
  return added.length ? [...old, ...added].sort((a, b) => a.seq - b.seq) : old;
}

// Whether nothing lies between what is here and what has come: by the runner's number, else by seq.
function follows(entries, fresh) {
  const last = entries.at(-1);
  const first = fresh[0];
  if (!first) return false;
  if (!last) return first.number === 1 || first.seq <= 1;
  if (first.seq <= last.seq + 1) return true;
  return Number.isInteger(first.number) && first.number === last.number + 1;
}

const NONE = { key: null, entries: null, error: null, live: false, leftOut: 0, reading: false, progress: null };

// {entries, error, live, leftOut, reading, progress}: entries is null until the first page. leftOut: how many came when
// the transcript was full. q: only entries that contain it.
export function useTranscript(taskId, runId, q = "") {
  const [state, setState] = useState(NONE);
  const key = `${runId} ${q}`;
  useTaskLogs(taskId);
  useEffect(() => {
    if (!runId) return undefined;
    let entries = [];
    let after = 0;
    // A search is read from the beginning, all else from the end; null: the beginning is here.
    let before = q ? null : VERY_END;
    let reading = false;
    let again = false;
    let gone = false;
    let timer = 0;
    let nextShow = 0;
    const show = (rest) => !gone && setState((old) => ({ ...(old.key === key ? old : NONE), key, ...rest }));
    const add = (fresh) => {
      entries = mergeEntries(entries, fresh);
      after = Math.max(after, entries.at(-1)?.seq ?? 0);
    };
    // A long one is shown when its first page is here, then now and then, and when all of it is.
    const showPage = ({ live, leftOut }, isFirst, more) => {
      if (more && !isFirst && Date.now() < nextShow) return;
      nextShow = Date.now() + SHOWN_EVERY_MS;
      show({ entries, error: null, live, leftOut: leftOut || 0, reading: more });
    };
    const readBack = async () => {
      for (let page = 0; page < MOST_PAGES && before !== null && !gone; page += 1) {
        const isFirst = before === VERY_END;
        const limit = isFirst ? FIRST_PAGE : PAGE;
        const reply = await api.get(`/runs/${runId}/transcript`, { before, limit });
        add(reply.entries);
        before = reply.entries.length === limit ? reply.entries[0].seq : null;
        showPage(reply, isFirst, before !== null);
      }
    };
    const readOn = async () => {
      for (let page = 0; page < MOST_PAGES && !gone; page += 1) {
        const last = after;
        const reply = await api.get(`/runs/${runId}/transcript`, { after, limit: PAGE, q });
        add(reply.entries);
        // A search may have looked through many entries and found none.
        after = Math.max(after, reply.next ?? 0);
        showPage(reply, !page, after > last);
        if (after <= last) break;
      }
    };
    const read = async () => {
      if (reading) return (again = true);
      reading = true;
      try {
        await (before === null ? readOn() : readBack());
      } catch (error) {
        show({ error, reading: false });
        retryLater(error, () => gone || soon());
      } finally {
        reading = false;
        if (again) {
          again = false;
          soon();
        }
      }
    };
    const soon = () => {
      timer ||= setTimeout(() => {
        timer = 0;
        read();
      }, 300);
    };
    const end = listen(({ event, data }) => {
      if (event === "connected" || event === "resync") return soon();
      if (data?.taskId !== taskId) return undefined;
      if (event === "task:status_changed" || event === "task:updated") return soon();
      if (data.runId !== runId) return undefined;
      if (event === "task:progress") return show({ progress: data });
      if (event !== "task:log") return undefined;
      // Which entries a search finds is the server's to say.
      if ((reading && before === null) || q || !follows(entries, data.entries)) return soon();
      add(data.entries);
      return show({ entries, live: true });
    });
    read();
    return () => {
      gone = true;
      clearTimeout(timer);
      end();
    };
  }, [taskId, key]);
  return state.key === key ? state : NONE;
}
