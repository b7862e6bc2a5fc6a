// A run's transcript: read over REST, then kept growing by task:log. A gap is read again, nothing is shown twice.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { api } from "../api.mjs";
import { html } from "../html.mjs";
import { listen } from "../live.mjs";
import { useTaskLogs } from "../loading.mjs";
import { clock, exact } from "../words.mjs";
import { Button, Loading, Trouble } from "./controls.mjs";
import { Markdown } from "./markdown.mjs";

const MOST_SHOWN = 1000;

// {entries, error, live}: every entry of the run so far, in order.
function useTranscript(taskId, runId) {
  const [state, setState] = useState({ runId: null, entries: [], error: null, live: false, progress: null });
  useTaskLogs(taskId);
  useEffect(() => {
    if (!runId) return undefined;
    let entries = [];
    let after = 0;
    let reading = false;
    let again = false;
    let gone = false;
    let timer = 0;
    const show = (rest) => !gone && setState((old) => ({ ...old, runId, entries, error: null, ...rest }));
    const add = (fresh) => {
      const last = entries.at(-1)?.seq ?? -1;
      entries = [...entries, ...fresh.filter((entry) => entry.seq > last)];
    };
    const read = async () => {
      if (reading) return (again = true);
      reading = true;
      try {
        for (let page = 0; page < 500 && !gone; page += 1) {
          const reply = await api.get(`/runs/${runId}/transcript`, { after });
          add(reply.entries);
          const on = reply.entries.length > 0 && reply.next !== after;
          after = reply.next ?? after;
          show({ live: reply.live });
          if (!on) break;
        }
      } catch (error) {
        show({ error });
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
    const end = listen((message) => {
      if (message.event === "connected" || message.event === "resync") return soon();
      if (message.data?.taskId !== taskId) return undefined;
      if (message.event === "task:status_changed" || message.event === "task:updated") return soon();
      if (message.event === "task:progress" && message.data.runId === runId) return show({ progress: message.data });
      if (message.event !== "task:log" || message.data.runId !== runId) return undefined;
      const fresh = message.data.entries;
      const last = entries.at(-1)?.seq;
      const follows = last === undefined ? fresh[0]?.seq <= 1 : fresh[0]?.seq <= last + 1;
      if (reading || !follows) return soon();
      add(fresh);
      after = entries.at(-1)?.seq ?? after;
      return show({ live: true });
    });
    read();
    return () => {
      gone = true;
      clearTimeout(timer);
      end();
    };
  }, [taskId, runId]);
  return state.runId === runId ? state : { entries: null, error: null, live: false };
}

function Entry({ entry }) {
  const time = html`<time datetime=${entry.at} title=${exact(entry.at)}>${clock(entry.at)}</time>`;
  const level =
    entry.level === "error" || entry.level === "warn" || entry.level === "warning" ? entry.level.slice(0, 4) : "";
  if (entry.kind === "text")
    return html`<li class=${`entry text ${level}`}>${time}<${Markdown} text=${entry.message} /></li>`;
  return html`<li class=${`entry ${entry.kind || "log"} ${level}`}>${time}<pre>${entry.message}</pre></li>`;
}

export function RunLog({ taskId, runId }) {
  const { entries, error, live, progress } = useTranscript(taskId, runId);
  const [all, setAll] = useState(false);
  const box = useRef();
  const atEnd = useRef(true);
  useLayoutEffect(() => {
    if (box.current && atEnd.current) box.current.scrollTop = box.current.scrollHeight;
  });
  if (error && !entries?.length) return html`<${Trouble} error=${error} />`;
  if (!entries) return html`<${Loading} />`;
  const hidden = all ? 0 : Math.max(0, entries.length - MOST_SHOWN);
  return html`<div
    class="log-box"
    ref=${box}
    tabindex="0"
    role="log"
    aria-label="Agent log"
    onScroll=${(event) => {
      const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
      atEnd.current = scrollHeight - scrollTop - clientHeight < 40;
    }}
  >
    ${hidden > 0 && html`<${Button} small act=${async () => setAll(true)}>Show ${hidden} earlier<//>`}
    <ol class="log">${entries.slice(hidden).map((entry) => html`<${Entry} key=${entry.seq} entry=${entry} />`)}</ol>
    ${
      !entries.length &&
      html`<p class="muted">
        ${live ? "The agent has said nothing yet. What it does appears here as it happens." : "This run left no log."}
      </p>`
    }
    ${
      live &&
      html`<p class="log-live">
        <span class="pulse"></span>
        ${progress?.message || "Live"}
        ${progress?.total > 0 && ` · ${progress.done ?? 0} of ${progress.total}`}
      </p>`
    }
  </div>`;
}
