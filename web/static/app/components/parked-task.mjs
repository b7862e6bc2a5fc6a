// A task that waits by itself: until when, and what it says on the board and in its panel.
import { useEffect, useState } from "preact/hooks";
import { intl, t } from "../words/language.mjs";
import { serverText } from "../words/server-texts.mjs";
import { html } from "./html.mjs";

const TIME = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const DAY_AND_TIME = { month: "short", day: "numeric", ...TIME };

// "14:05", or with the day if it is another one.
function untilText(until) {
  const at = new Date(until);
  return intl("DateTimeFormat", at.toDateString() === new Date().toDateString() ? TIME : DAY_AND_TIME).format(at);
}

export const isParked = (task) => Boolean(task.parked) && ["backlog", "in_progress"].includes(task.state);

// of: {code, reason, until}. until: null if only a person ends it.
export function parkedText({ code, until }) {
  if (code === "files") return t("Waits for its files");
  const at = until && untilText(until);
  if (code === "cap") return at ? t("At its cap until {at}", { at }) : t("At its cap");
  return at ? t("Parked until {at}", { at }) : t("Parked");
}

export const ParkedChip = ({ of, testid }) =>
  html`<span class="chip ask" title=${serverText(of.reason)} data-testid=${testid}>${parkedText(of)}</span>`;

// "2 h 5 min", "4 min 09 s", "12 s".
function timeLeftText(seconds) {
  const [days, hours, minutes] = [86_400, 3600, 60].map((size) => Math.floor(seconds / size));
  if (days) return `${days} d ${hours % 24} h`;
  if (hours) return t("{hours} h {minutes} min", { hours, minutes: minutes % 60 });
  const rest = String(seconds % 60);
  return minutes ? t("{minutes} min {seconds} s", { minutes, seconds: rest.padStart(2, "0") }) : `${rest} s`;
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
    ${seconds > 0 ? t("in {time}", { time: timeLeftText(seconds) }) : t("any moment now")}
  </span>`;
}
