// Says that the page is not live, once that is more than a blink.
import { useEffect, useState } from "preact/hooks";
import { html } from "../../components/html.mjs";
import { connection, connectNow } from "../../server/live-events.mjs";
import { t } from "../../words/language.mjs";

const BLINK_MS = 1000;

export function ConnectionBanner() {
  const away = connection.value !== "on";
  const [told, setTold] = useState(false);
  useEffect(() => {
    setTold(false);
    const timer = away ? setTimeout(() => setTold(true), BLINK_MS) : 0;
    return () => clearTimeout(timer);
  }, [away]);
  // The region is there before its text is, so that it is read out.
  return html`<div class="link-banner" role="status">
    ${
      away &&
      told &&
      html`<p class="banner ask" data-testid="link-lost">
        <span>${t("No connection to the server. What you see may be old; what you write stays here.")}</span>
        <button type="button" class="button small" onClick=${connectNow}>${t("Try now")}</button>
      </p>`
    }
  </div>`;
}
