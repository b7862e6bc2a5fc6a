// Everything that happened in a project, or that administrators did, as it is on record, the newest first.
import { useEffect } from "preact/hooks";
import { replaceQuery, route } from "../../browser/routes.mjs";
import { useTabTitle } from "../../browser/tab-title.mjs";
import { Avatar } from "../../components/avatar.mjs";
import { Button, Empty, LoadError, Loading, Page, Time } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { api } from "../../server/api.mjs";
import { useEventHistory } from "../../server/event-history.mjs";
import { ADMINISTRATION_FEED, watchProject } from "../../server/live-events.mjs";
import { actorName } from "../../state/actors.mjs";
import { project } from "../../state/projects.mjs";
import { EVENTS, Sentence } from "../../words/event-sentences.mjs";
import { intl, t } from "../../words/language.mjs";
import { labelOf } from "../../words/words.mjs";
import { EventSubject, useEventSubjects } from "./event-subjects.mjs";
import { withRepeatsCounted } from "./repeated-events.mjs";

const PAGE = 100;
const OF_ADMINISTRATION = /^((user|token|settings):|job:retried$)/;
const sayType = (type) => labelOf(type.replace(":", " "));
const DAY = { weekday: "long", month: "long", day: "numeric" };
const dayOf = ({ at }) => intl("DateTimeFormat", DAY).format(new Date(at));

const useEvents = (projectId, type, actor) =>
  useEventHistory(
    `${projectId} ${type} ${actor}`,
    (query) => api.get("/events", { projectId, type, actor, ...query }),
    ({ projectId: of, seq }) => of === projectId && Number.isInteger(seq),
    PAGE,
  );

export function Activity() {
  return html`<${Record}
    projectId=${project.value.id}
    title=${t("Activity")}
    lead=${t("What happened in this project and who did it.")}
  />`;
}

// For administrators.
export function AdministrationActivity() {
  useEffect(() => watchProject(ADMINISTRATION_FEED), []);
  return html`<${Record}
    projectId=${ADMINISTRATION_FEED}
    title=${t("Administration on record")}
    lead=${t("What was done to users, tokens and settings, and who did it.")}
  />`;
}

function Record({ projectId, title, lead }) {
  const { type = "", actor = "" } = route.value.query;
  const { events, hasMore, error, more, again } = useEvents(projectId, type, actor);
  const isAdministration = projectId === ADMINISTRATION_FEED;
  const kinds = EVENTS.filter((one) => OF_ADMINISTRATION.test(one) === isAdministration);
  const known = useEventSubjects(isAdministration ? null : projectId, events);
  useTabTitle(title);
  const actors = [...new Set([actor, ...(events || []).map((one) => one.actor)])].filter(Boolean).sort();
  const change = (name, value) => replaceQuery({ ...route.value.query, [name]: value });
  const actions = html`
    <select
      aria-label=${t("What happened")}
      value=${type}
      data-testid="activity-type"
      onChange=${(event) => change("type", event.target.value)}
    >
      <option value="">${t("Everything")}</option>
      ${kinds.map((one) => html`<option key=${one} value=${one} selected=${one === type}>${sayType(one)}</option>`)}
    </select>
    <select
      aria-label=${t("Who did it")}
      value=${actor}
      data-testid="activity-actor"
      onChange=${(event) => change("actor", event.target.value)}
    >
      <option value="">${t("Everybody")}</option>
      ${actors.map((one) => html`<option key=${one} value=${one} selected=${one === actor}>${actorName(one)}</option>`)}
    </select>
  `;
  return html`<${Page} title=${title} lead=${lead} actions=${actions}>
    ${
      !events
        ? error
          ? html`<${LoadError} error=${error} again=${again} />`
          : html`<${Loading} />`
        : events.length
          ? html`<${Days} events=${events} known=${known} />`
          : html`<${Empty} title=${t("Nothing happened")}>
            ${
              type || actor
                ? t("Nothing on record is what the filter wants.")
                : t("What happens here shows up by itself.")
            }
          <//>`
    }
    ${hasMore && html`<${Button} act=${more} kind="more" testid="load-more">${t("Load more")}<//>`}
  <//>`;
}

function Days({ events, known }) {
  const days = new Map();
  for (const one of events) days.set(dayOf(one), [...(days.get(dayOf(one)) || []), one]);
  return [...days].map(
    ([name, some]) =>
      html`<section key=${name} class="timeline">
        <h2>${name}</h2>
        <ol>
          ${withRepeatsCounted(some).map(
            (one) =>
              html`<li key=${one.seq} data-testid="activity-event">
                <${Avatar} of=${one.actor} />
                <span>
                  <b>${actorName(one.actor)}</b> <${Sentence} of=${one} />
                  <${EventSubject} event=${one} known=${known} />
                </span>
                <${Time} at=${one.at} />
              </li>`,
          )}
        </ol>
      </section>`,
  );
}
