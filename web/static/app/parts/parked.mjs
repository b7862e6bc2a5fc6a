// A task that waits by itself: until when, and what it says on the board and in its panel.
import { useEffect, useState } from "preact/hooks";
import { html } from "../html.mjs";

const time = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hour12: false });
const dayAndTime = new Intl.DateTimeFormat("en", {
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  hour12: false,
});

// "14:05", or with the day if it is another one.
export function sayUntil(until) {
  const at = new Date(until);
  return (at.toDateString() === new Date().toDateString() ? time : dayAndTime).format(at);
}

export const isParked = (task) => Boolean(task.parked) && task.state === "in_progress";

// of: {code, reason, until}. until: null if only a person ends it.
export function sayParked({ code, until }) {
  const tail = until ? ` until ${sayUntil(until)}` : "";
  if (code === "cap") return `At its cap${tail}`;
  return `Parked${tail}`;
}

export const ParkedChip = ({ of, testid }) =>
  html`<span class="chip ask" title=${of.reason} data-testid=${testid}>${sayParked(of)}</span>`;

// "2 h 5 min", "4 min 09 s", "12 s".
export function sayLeft(seconds) {
  const [days, hours, minutes] = [86_400, 3600, 60].map((size) => Math.floor(seconds / size));
  if (days) return `${days} d ${hours % 24} h`;
  if (hours) return `${hours} h ${minutes % 60} min`;
  const rest = String(seconds % 60);
  return minutes ? `${minutes} min ${rest.padStart(2, "0")} s` : `${rest} s`;
}

// Counts down by the browser's clock; nothing is asked of the server.
export function Countdown({ until }) {
  const left = () => Math.ceil((Date.parse(until) - Date.now()) / 1000);
  const [seconds, setSeconds] = useState(left);
  useEffect(() => {
    setSeconds(left());
    const timer = setInterval(() => setSeconds(left()), 1000);
    return () => clearInterval(timer);
  }, [until]);
  return html`<span role="timer" data-testid="parked-left">
    ${seconds > 0 ? `in ${sayLeft(seconds)}` : "any moment now"}
  </span>`;
}
