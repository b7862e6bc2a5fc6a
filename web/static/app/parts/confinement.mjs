// Whether what an agent or the runtime starts is in a sandbox: in words, and loud where it is not.
import { html } from "../html.mjs";

// of: {isConfining, says}, or null where nothing was reported: "confined", "open" or null.
export const confinementOf = (of) => (of ? (of.isConfining ? "confined" : "open") : null);

export function Confinement({ of }) {
  const how = confinementOf(of);
  if (!how) return null;
  return html`<span
    class=${`badge ${how === "open" ? "bad loud" : "good"}`}
    title=${of.says}
    data-testid="confinement"
    data-how=${how}
  >
    <i></i>${how === "open" ? "Unconfined" : "Confined"}
  </span>`;
}
