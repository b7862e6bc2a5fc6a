// Needs you: what waits for the person who is signed in, in all projects, what blocks an agent first.
import { useEffect } from "preact/hooks";
import { useTabTitle } from "../../browser/tab-title.mjs";
import { Badge, Button, Empty, LoadError, Loading, Page, Time } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import {
  inbox,
  inboxError,
  itemDetail,
  itemKey,
  itemLink,
  KINDS,
  loadInbox,
  notifications,
  setNotifications,
} from "../../state/inbox.mjs";
import { t } from "../../words/language.mjs";
import { shortened, withShortShas } from "../../words/words.mjs";

const MOST_DETAIL = 240;

export function Inbox() {
  useTabTitle(t("Needs you"));
  useEffect(() => {
    loadInbox();
  }, []);
  const items = inbox.value?.items;
  const lead = t("What waits for your decision, in all projects.");
  return html`<${Page} title=${t("Needs you")} lead=${lead} actions=${html`<${Notify} />`}>
    ${
      !items
        ? inboxError.value
          ? html`<${LoadError} error=${inboxError.value} again=${loadInbox} />`
          : html`<${Loading} />`
        : items.length
          ? Object.keys(KINDS).map((kind) => html`<${Kind} key=${kind} kind=${kind} items=${items} />`)
          : html`<${Empty} title=${t("Nothing waits for you")}>
              ${t("Questions of agents, work to review, failed tasks and releases show up here as they come.")}
            <//>`
    }
    ${inbox.value?.isCut && html`<p class="muted">${t("There are more. The oldest are shown.")}</p>`}
  <//>`;
}

function Kind({ kind, items }) {
  const mine = items.filter((item) => item.kind === kind);
  if (!mine.length) return null;
  return html`<section aria-label=${t(KINDS[kind])} data-testid=${`inbox-${kind}`}>
    <h2>${t(KINDS[kind])} <span class="muted">${mine.length}</span></h2>
    <ul class="rows">
      ${mine.map(
        (item) =>
          html`<li key=${itemKey(item)}>
            <a class="row" href=${itemLink(item)} data-testid="inbox-item">
              <span class="row-main">
                <b>${item.title}</b>
                ${item.detail && html`<small>${shortened(withShortShas(itemDetail(item)), MOST_DETAIL)}</small>`}
              </span>
              <${Badge} word=${item.state} />
              <span class="muted">${item.projectName}</span>
              <${Time} at=${item.since} />
            </a>
          </li>`,
      )}
    </ul>
  </section>`;
}

const Notify = () => {
  if (notifications.value === "missing") return null;
  if (notifications.value === "denied")
    return html`<span class="muted">${t("Your browser blocks notifications of this site.")}</span>`;
  const on = notifications.value === "on";
  return html`<${Button} testid="notifications" aria-pressed=${on} act=${() => setNotifications(!on)}>
    ${on ? t("Notifications are on") : t("Notify me in this browser")}
  <//>`;
};
