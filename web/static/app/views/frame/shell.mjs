// The frame: who is signed in, which project, where one may go, whether the page is live.
import { useEffect, useRef, useState } from "preact/hooks";
import { overlay, useKeyDown, usePageShortcuts } from "../../browser/keyboard.mjs";
import { go, route, to } from "../../browser/routes.mjs";
import { updateTabTitle } from "../../browser/tab-title.mjs";
import { toastError, toasts } from "../../browser/toasts.mjs";
import { Avatar } from "../../components/avatar.mjs";
import { Button, Empty, Icon, LoadError, Loading, Page } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { lazy, NoPlaceholder } from "../../components/lazy.mjs";
import { Toasts } from "../../components/toast-list.mjs";
import { api, retryLater, signOut } from "../../server/api.mjs";
import { connection, listen, retrySubscriptions } from "../../server/live-events.mjs";
import { useInterval, useLiveEvents, useProjectFeed } from "../../server/loading.mjs";
import { hasPlatformRole, hasRole, onSignedOut, refusedCalls, signedIn, user } from "../../server/session.mjs";
import { inboxCount, inboxCountText } from "../../state/inbox.mjs";
import { loadProjects, project, projectId, projects, projectsError, storeProject } from "../../state/projects.mjs";
import { mark, t } from "../../words/language.mjs";
import { labelOf } from "../../words/words.mjs";
import { LogIn } from "../account/login.mjs";
import { Board } from "../board/board.mjs";
import { ConnectionBanner } from "./connection-banner.mjs";
import { showNotice } from "./task-notices.mjs";

const Account = lazy(() => import("../account/account.mjs"), "Account");
const Activity = lazy(() => import("../activity/activity.mjs"), "Activity");
const Admin = lazy(() => import("../administration/admin.mjs"), "Admin");
const Agent = lazy(() => import("../agents/agents.mjs"), "Agent");
const Agents = lazy(() => import("../agents/agents.mjs"), "Agents");
const Inbox = lazy(() => import("./inbox.mjs"), "Inbox");
const KeyboardHelp = lazy(() => import("./command-palette.mjs"), "KeyboardHelp", NoPlaceholder);
const Jobs = lazy(() => import("../administration/jobs.mjs"), "Jobs");
const ModelViews = lazy(() => import("../models/model-views.mjs"), "ModelViews");
const Releases = lazy(() => import("../releases/releases.mjs"), "Releases");
const RepositoryAddress = lazy(() => import("./repository-address.mjs"), "RepositoryAddress");
const CommandPalette = lazy(() => import("./command-palette.mjs"), "CommandPalette", NoPlaceholder);
const ProjectTests = lazy(() => import("../project/project-tests.mjs"), "ProjectTests");
const ProjectViews = lazy(() => import("../project/project-views.mjs"), "ProjectViews");
const Spend = lazy(() => import("../spend/spend.mjs"), "Spend");
const TaskPage = lazy(() => import("../task/task-panel.mjs"), "TaskPage");

const SAID = {
  on: mark("Live: changes appear by themselves"),
  connecting: mark("Connecting… what you see may be old"),
  off: mark("Not connected"),
};
const uncover = () => (overlay.value = null);
// How often the list of projects is read while one is being deleted.
const ENDING_MS = 4000;
// How often it is read otherwise, and the caller's role.
const OTHERS_MS = 30_000;

// Nothing of one person is left for the next.
onSignedOut(() => {
  toasts.value = [];
  overlay.value = null;
});

export function App() {
  useEffect(updateTabTitle, []);
  return html`${signedIn.value ? html`<${Frame} />` : html`<${LogIn} />`}<${Toasts} dialog=${null} />`;
}

function Frame() {
  const [open, setOpen] = useState(false);
  const [away, setAway] = useState(null);
  const tries = useRef(0);
  const begin = () => {
    const mine = ++tries.current;
    readUser().then(
      () => setAway(null),
      (error) => {
        if (error.status === 401) return;
        setAway(error);
        retryLater(error, () => mine === tries.current && begin());
      },
    );
    loadProjects();
  };
  useEffect(begin, []);
  useEffect(() => setOpen(false), [route.value]);
  useEscape(open, () => setOpen(false));
  useProjectFeed(projectId.value);
  // Listed by now, a project that was refused before is this person's to see.
  useEffect(retrySubscriptions, [project.value?.id]);
  useLiveEvents(({ event }) => event === "project:status_changed", refreshProject);
  useOthersProjects();
  useRole();
  usePageShortcuts();
  useEffect(() => listen(showNotice), []);
  const ending = projects.value?.some(({ status }) => status === "deleting");
  // The last of a project goes without an event: its feed is gone too. Projects that others make have feeds that nobody
  // follows here yet.
  useInterval(ending ? ENDING_MS : OTHERS_MS, loadProjects);
  if (away) return html`<main class="page"><${LoadError} error=${away} again=${begin} /></main>`;
  if (!user.value) return html`<${Loading} />`;
  return html`<div class=${`frame ${open ? "nav-open" : ""}`}>
    <a
      class="skip"
      href="#main"
      onClick=${(event) => {
        event.preventDefault();
        // On a phone the panel takes the place of the board.
        const places = [...document.querySelectorAll(":is(main, aside) :is(a, button, input)")];
        places.find((one) => one.checkVisibility())?.focus();
      }}
    >
      ${t("Skip to content")}
    </a>
    <div class="topbar" role="banner">
      <button
        type="button"
        class="button ghost square"
        aria-label=${t("Menu")}
        aria-expanded=${open}
        onClick=${() => setOpen(!open)}
      >
        <${Icon} name="menu" />
      </button>
      <strong>${project.value?.name || "AiWorker"}</strong>
      ${
        inboxCount.value > 0 &&
        html`<a class="nav-count" href="#/inbox" aria-label=${t("{count} need you", { count: inboxCountText.value })}>
          ${inboxCountText.value}
        </a>`
      }
      <${Dot} />
    </div>
    <${Sidebar} leave=${() => setOpen(false)} />
    <div class="scrim" onClick=${() => setOpen(false)}></div>
    <div class="content"><${View} /></div>
    ${overlay.value === "palette" && html`<${CommandPalette} close=${uncover} />`}
    ${overlay.value === "keys" && html`<${KeyboardHelp} close=${uncover} />`}
    <${ConnectionBanner} />
  </div>`;
}

async function refreshProject() {
  const id = projectId.value;
  if (!id) return loadProjects();
  try {
    storeProject((await api.get(`/projects/${id}`)).project);
  } catch (error) {
    // Deleted by now: the list knows.
    if (error.status === 404) await loadProjects();
    else toastError(error);
  }
}

// Projects that others make are looked for at once when this page was away or behind.
function useOthersProjects() {
  useEffect(() => {
    const back = () => !document.hidden && loadProjects();
    const end = listen(({ event, data }) => {
      // With a reason, the server has ended it: the project may not be this person's to see any more.
      if (event === "connected" || (event === "unsubscribed" && data.reason)) loadProjects();
    });
    document.addEventListener("visibilitychange", back);
    return () => {
      end();
      document.removeEventListener("visibilitychange", back);
    };
  }, []);
}

// Reads who is signed in, with the role as it is now.
async function readUser() {
  const before = user.value;
  const { user: fresh } = await api.get("/auth/me");
  // Somebody signed out or in meanwhile.
  if (!signedIn.value || user.value !== before) return;
  // What is the same is not drawn anew.
  if (JSON.stringify(fresh) !== JSON.stringify(before)) user.value = fresh;
}

// No event tells of a role that was changed: it is read again when this page was away, when something was refused, and
// now and then.
function useRole() {
  const again = () => user.value && readUser().catch(() => {});
  const refused = refusedCalls.value;
  useEffect(() => {
    if (refused) again();
  }, [refused]);
  useEffect(() => {
    // The first connection comes when the page has just been opened, which reads it, too.
    let isAgain = connection.value === "on";
    return listen(({ event }) => {
      if (event !== "connected") return;
      if (isAgain) again();
      isAgain = true;
    });
  }, []);
  useInterval(OTHERS_MS, again);
}

// Escape closes the menu alone, and not what lies below it.
function useEscape(open, close) {
  const pressed = (event) => {
    if (event.key !== "Escape") return;
    event.stopImmediatePropagation();
    close();
    document.querySelector(".topbar button").focus();
  };
  useKeyDown(pressed, { isOn: open, isFirst: true });
}

const Dot = () =>
  html`<span
    class=${`dot ${connection.value}`}
    role="status"
    title=${t(SAID[connection.value])}
    data-testid="live-status"
    data-state=${connection.value}
  >
    <span class="sr">${t(SAID[connection.value])}</span>
  </span>`;

function Link({ href, icon, on, children }) {
  return html`<a href=${href} class=${on ? "on" : ""} aria-current=${on ? "page" : undefined}>
    <${Icon} name=${icon} />
    ${children}
  </a>`;
}

// leave: closes it where it lies over the page, also when the page that is shown is chosen again.
function Sidebar({ leave }) {
  const id = projectId.value;
  const view = route.value.view;
  const known = projects.value || [];
  return html`<nav class="sidebar" aria-label=${t("Main")} onClick=${(event) => event.target.closest("a") && leave()}>
    <a class="brand" href="#/"><img src="/static/icon.svg" alt="" width="22" height="22" />AiWorker</a>
    <div class="picker">
      <label class="sr" for="project-select">${t("Project")}</label>
      <select
        id="project-select"
        data-testid="project-select"
        value=${id || ""}
        onFocus=${loadProjects}
        onChange=${(event) => go(to.project(event.target.value))}
      >
        ${!known.length && html`<option value="">${t("No project yet")}</option>`}
        ${known.map(
          (one) => html`<option key=${one.id} value=${one.id} selected=${one.id === id}>${one.name}</option>`,
        )}
      </select>
      ${
        hasPlatformRole("maintainer") &&
        html`<a
          class="button square"
          href="#/projects/new"
          data-testid="project-new"
          aria-label=${t("New project")}
          title=${t("New project")}
        >
          <${Icon} name="plus" />
        </a>`
      }
    </div>
    <div class="nav-group">
      <${Link} href="#/inbox" icon="inbox" on=${view === "inbox"}>
        ${t("Needs you")}
        ${
          inboxCount.value > 0 && html`<span class="nav-count" data-testid="inbox-count">${inboxCountText.value}</span>`
        }
      <//>
    </div>
    ${
      id &&
      html`<div class="nav-group">
        <${Link} href=${to.project(id)} icon="board" on=${view === "tasks" || view === "home"}>${t("Board")}<//>
        <${Link} href=${to.groups(id)} icon="groups" on=${view === "groups"}>${t("Groups")}<//>
        <${Link} href=${to.deployments(id)} icon="deploy" on=${view === "deployments"}>${t("Deployments")}<//>
        <${Link} href=${to.tests(id)} icon="tests" on=${view === "tests"}>${t("Tests")}<//>
        <${Link} href=${to.activity(id)} icon="activity" on=${view === "activity"}>${t("Activity")}<//>
        <${Link} href=${to.settings(id)} icon="settings" on=${view === "settings"}>${t("Project settings")}<//>
      </div>`
    }
    <div class="nav-group">
      <h2>${t("Platform")}</h2>
      <${Link} href="#/agents" icon="agent" on=${view === "agents"}>${t("Agents")}<//>
      <${Link} href="#/jobs" icon="jobs" on=${view === "jobs"}>${t("Jobs")}<//>
      <${Link} href="#/spend" icon="spend" on=${view === "spend"}>${t("Spend")}<//>
      ${hasRole("admin") && html`<${Link} href="#/models" icon="models" on=${view === "models"}>${t("Models")}<//>`}
      ${
        hasRole("admin") &&
        html`<${Link} href="#/admin" icon="people" on=${view === "admin"}>${t("Users and enrolment")}<//>`
      }
      <${Link} href="#/account" icon="key" on=${view === "account"}>${t("Account and tokens")}<//>
      <a href="/docs"><${Icon} name="docs" />${t("Documentation")}</a>
      <a href="/api/docs"><${Icon} name="branch" />API</a>
    </div>
    <div class="me">
      <${Dot} />
      <${Avatar} of=${user.value.username} />
      <span data-testid="who"><b>${user.value.username}</b><small>${labelOf(user.value.role)}</small></span>
      <${Button} small kind="ghost" testid="logout" act=${signOut}>${t("Log out")}<//>
    </div>
  </nav>`;
}

function View() {
  const { view, id, tab } = route.value;
  if (view === "unknown") return html`<${NotFound} />`;
  if (view === "agents") return id ? html`<${Agent} key=${id} id=${id} />` : html`<${Agents} />`;
  if (view === "inbox") return html`<${Inbox} />`;
  if (view === "jobs") return html`<${Jobs} />`;
  if (view === "admin") return html`<${Admin} />`;
  if (view === "models") return html`<${ModelViews} />`;
  if (view === "spend") return html`<${Spend} />`;
  if (view === "account") return html`<${Account} />`;
  if (view === "project-new") return html`<${ProjectViews} projectId=${null} />`;
  if (projectsError.value && !projects.value)
    return html`<main class="page"><${LoadError} error=${projectsError.value} again=${loadProjects} /></main>`;
  if (!projects.value) return html`<${Loading} />`;
  if (view === "repository") return html`<${RepositoryAddress} place=${route.value.place} pull=${route.value.pull} />`;
  if (!projectId.value || view === "welcome") return html`<${ModelViews} isWelcome />`;
  if (!project.value)
    return html`<${Page} title=${t("Not found")}>
      <${Empty} title=${t("There is no such project")}>
        ${t("It was deleted, or you may not see it. Choose another one on the left.")}
      <//>
    <//>`;
  const key = projectId.value;
  if (view === "groups" || view === "deployments") return html`<${Releases} view=${view} id=${id} projectId=${key} />`;
  if (view === "tests") return html`<${ProjectTests} key=${key} />`;
  if (view === "activity") return html`<${Activity} key=${key} />`;
  if (view === "settings") return html`<${ProjectViews} projectId=${key} />`;
  if (view === "tasks" && tab) return html`<${TaskPage} key=${id} id=${id} tab=${tab} />`;
  return html`<${Board} key=${key} taskId=${view === "tasks" ? id : null} />`;
}

const NotFound = () =>
  html`<${Page} title=${t("Not found")}>
    <div data-testid="not-found">
      <${Empty} title=${t("There is no such page")}>
        ${t("The address may be mistyped, or from an older version.")} <a href="#/">${t("Back to the board")}</a>
      <//>
    </div>
  <//>`;
