// Where a person is signed in, and ending what they don't know or don't need any more.
import { useState } from "preact/hooks";
import { toastSuccess } from "../../browser/toasts.mjs";
import { Button, Listing, Time } from "../../components/controls.mjs";
import { Confirm } from "../../components/dialogs.mjs";
import { html } from "../../components/html.mjs";
import { api } from "../../server/api.mjs";
import { useInterval, usePages } from "../../server/loading.mjs";
import { t, th } from "../../words/language.mjs";

// No event tells what another window changes.
const LOOK_MS = 20_000;

// The first that the text of a program contains; each names others after itself.
const PROGRAMS = [
  ["Edg/", "Edge"],
  ["OPR/", "Opera"],
  ["Firefox/", "Firefox"],
  ["Chrome/", "Chrome"],
  ["Safari/", "Safari"],
];
const SYSTEMS = [
  ["Windows", "Windows"],
  ["iPhone", "iPhone"],
  ["iPad", "iPad"],
  ["Mac OS X", "macOS"],
  ["Android", "Android"],
  ["Linux", "Linux"],
];
const namedIn = (client, list) => list.find(([part]) => client.includes(part))?.[1];

// A program's User-Agent as people say it: "Firefox on Linux"; of another kind of program its name, such as "curl".
function sayClient(client) {
  if (!client) return t("Unknown program");
  const program = namedIn(client, PROGRAMS) || client.split("/")[0];
  const system = namedIn(client, SYSTEMS);
  return system ? t("{program} on {system}", { program, system }) : program;
}

const Session = ({ of, end }) =>
  html`<li class="row" data-testid="session" data-current=${of.isCurrent}>
    <span class="row-main">
      <b title=${of.client}>${sayClient(of.client)}</b>
      <small>
        ${of.address && html`${of.address} · `}${th("Since {time}", { time: html`<${Time} at=${of.createdAt} />` })}
        ${of.lastUsedAt && html` · ${th("Last used {time}", { time: html`<${Time} at=${of.lastUsedAt} />` })}`}
      </small>
    </span>
    ${
      of.isCurrent
        ? html`<span class="badge good"><i></i>${t("This one")}</span>`
        : html`<${Button} small kind="ghost" act=${end} testid="session-end">${t("End")}<//>`
    }
  </li>`;

export function Sessions() {
  const pages = usePages("/sessions", "sessions");
  useInterval(LOOK_MS, pages.reload);
  const [endingAll, setEndingAll] = useState(false);
  const end =
    ({ id }) =>
    async () => {
      await api.remove(`/sessions/${id}`);
      toastSuccess(t("Session ended."));
      await pages.reload();
    };
  return html`<section>
    <div class="section-head">
      <h2>${t("Sessions")}</h2>
      ${
        pages.items?.some(({ isCurrent }) => !isCurrent) &&
        html`<button type="button" class="button small" data-testid="sessions-end" onClick=${() => setEndingAll(true)}>
          ${t("End all others")}
        </button>`
      }
    </div>
    <p class="muted">${t("Where you are signed in. A session that is ended is refused at once.")}</p>
    <${Listing} pages=${pages} empty=${html`<p class="muted">${t("There is none.")}</p>`}>
      <ul class="rows">
        ${pages.items?.map((one) => html`<${Session} key=${one.id} of=${one} end=${end(one)} />`)}
      </ul>
    <//>
    ${
      endingAll &&
      html`<${Confirm}
        title=${t("End all other sessions?")}
        verb=${t("End all others")}
        testid="sessions-end-confirm"
        act=${async () => {
          await api.remove("/sessions");
          await pages.reload();
        }}
        close=${() => setEndingAll(false)}
      >
        ${t("Whoever works in one of them has to sign in again. Tokens stay.")}
      <//>`
    }
  </section>`;
}
