// Whether what an agent or the runtime starts is in a sandbox: in words, and loud where it is not.
import { html } from "../../components/html.mjs";
import { useRead } from "../../server/loading.mjs";
import { t } from "../../words/language.mjs";
import { serverText } from "../../words/server-texts.mjs";

// of: {isConfining, says}, or null where nothing was reported: "confined", "open" or null.
export const sandboxState = (of) => (of ? (of.isConfining ? "confined" : "open") : null);

export function SandboxBadge({ of }) {
  const how = sandboxState(of);
  if (!how) return null;
  return html`<span
    class=${`badge ${how === "open" ? "bad loud" : "good"}`}
    title=${serverText(of.says)}
    data-testid="confinement"
    data-how=${how}
  >
    <i></i>${how === "open" ? t("Unconfined") : t("Confined")}
  </span>`;
}

// Loud if what the local runtime starts, checks and previews, is in no sandbox; else nothing.
export function RuntimeSandboxWarning() {
  const { sandbox } = useRead("/health").value || {};
  if (sandboxState(sandbox) !== "open") return null;
  return html`<p class="banner bad" data-testid="runtime-unconfined">
    <span><b>${t("Checks and previews run unconfined.")}</b> ${serverText(sandbox.says)}</span>
  </p>`;
}
