// Ctrl-K: everything that there is to go to or to do, found by typing; and `?`: the keys of the present view.
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { chooseScheme, scheme, SCHEMES } from "../../browser/color-scheme.mjs";
import { openNewTask, overlay, shortcutLists } from "../../browser/keyboard.mjs";
import { go, to } from "../../browser/routes.mjs";
import { toastError } from "../../browser/toasts.mjs";
import { Badge, classNames, Icon } from "../../components/controls.mjs";
import { Dialog } from "../../components/dialogs.mjs";
import { html } from "../../components/html.mjs";
import { api, signOut } from "../../server/api.mjs";
import { hasPlatformRole, hasRole } from "../../server/session.mjs";
import { project, projectId, projects } from "../../state/projects.mjs";
import { chooseLanguage, language, LANGUAGES, t } from "../../words/language.mjs";
import { shortId, shownState } from "../../words/words.mjs";

const WAIT_MS = 150;
const MOST_TASKS = 8;
const close = () => (overlay.value = null);

const goTo = (text, hash, icon) => ({ key: hash, text, icon, act: () => go(hash) });

// What a person may go to or do: [{key, text, icon, act}].
function commands() {
  const id = projectId.value;
  const ofProject = id
    ? [
        goTo(t("Board"), to.project(id), "board"),
        goTo(t("Groups"), to.groups(id), "groups"),
        goTo(t("Deployments"), to.deployments(id), "deploy"),
        goTo(t("Tests"), to.tests(id), "tests"),
        goTo(t("Activity"), to.activity(id), "activity"),
        goTo(t("Project settings"), to.settings(id), "settings"),
      ]
    : [];
  const isWriter = id && hasRole("member") && project.value;
  return [
    ...(isWriter ? [{ key: "new", text: t("New task"), icon: "plus", act: () => openNewTask(id) }] : []),
    goTo(t("Needs you"), "#/inbox", "inbox"),
    ...ofProject,
    goTo(t("Agents"), "#/agents", "agent"),
    goTo(t("Jobs"), "#/jobs", "jobs"),
    goTo(t("Spend"), "#/spend", "spend"),
    ...(hasRole("admin")
      ? [goTo(t("Models"), "#/models", "models"), goTo(t("Users and enrolment"), "#/admin", "people")]
      : []),
    goTo(t("Account and tokens"), "#/account", "key"),
    { key: "docs", text: t("Documentation"), icon: "docs", act: () => location.assign("/docs") },
    ...(hasPlatformRole("maintainer")
      ? [goTo(t("New project"), "#/projects/new", "plus"), goTo(t("Welcome"), "#/welcome", "board")]
      : []),
    ...(projects.value || [])
      .filter((one) => one.id !== id)
      .map((one) => goTo(t("Project: {name}", { name: one.name }), to.project(one.id), "board")),
    ...LANGUAGES.filter(([code]) => code !== language.value).map(([code, name]) => ({
      key: code,
      text: t("Language: {name}", { name }),
      icon: "settings",
      act: () => chooseLanguage(code).catch(toastError),
    })),
    ...SCHEMES.filter(([name]) => name !== scheme.value).map(([name, text]) => ({
      key: name,
      text: t("Colours: {name}", { name: t(text) }),
      icon: "settings",
      act: () => chooseScheme(name),
    })),
    { key: "keys", text: t("Keys of this view"), icon: "key", act: () => (overlay.value = "keys") },
    { key: "out", text: t("Log out"), icon: "out", act: signOut },
  ];
}

const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

// Those that contain every word that was typed, in any order, accents or not; what begins with them first.
function matching(all, typed) {
  const words = plain(typed).split(/\s+/).filter(Boolean);
  const found = all.filter(({ text }) => words.every((word) => plain(text).includes(word)));
  const begins = ({ text }) => (words.length && plain(text).startsWith(words[0]) ? 0 : 1);
  return [...found].sort((a, b) => begins(a) - begins(b));
}

// The tasks of the present project whose title has the text, or whose short id ends with it; null until they are known.
function useTasks(typed) {
  const [found, setFound] = useState(null);
  const id = projectId.value;
  const q = typed.trim();
  const isAsked = Boolean(id) && q.length >= 2;
  useEffect(() => {
    if (!isAsked) return undefined;
    let gone = false;
    const timer = setTimeout(async () => {
      try {
        const { tasks } = await api.get("/tasks", { projectId: id, q, limit: MOST_TASKS });
        if (!gone) setFound({ id, q, tasks });
      } catch (error) {
        if (!gone) toastError(error);
      }
    }, WAIT_MS);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [id, q]);
  if (!isAsked) return [];
  // Those of an earlier text stay away: Enter would open one that was not meant.
  if (found?.id !== id || found.q !== q) return null;
  return found.tasks.map((task) => ({ key: task.id, text: task.title, task, act: () => go(to.task(id, task.id)) }));
}

export function CommandPalette() {
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const list = useId();
  const box = useRef();
  const found = useTasks(typed);
  const items = [...matching(commands(), typed), ...(found || [])];
  const chosen = Math.min(at, items.length - 1);
  useLayoutEffect(() => box.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" }));
  const take = (item) => {
    close();
    item.act();
  };
  const pressed = (event) => {
    // The key belongs to the letters of a word that is being composed, as in Japanese.
    if (event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && items.length) {
      event.preventDefault();
      setAt((chosen + step + items.length) % items.length);
    } else if (event.key === "Enter" && items[chosen]) {
      event.preventDefault();
      take(items[chosen]);
    }
  };
  return html`<${Dialog} title=${t("Go to or do")} close=${close}>
    <div class="palette" ref=${box}>
      <input
        role="combobox"
        aria-label=${t("Go to or do")}
        aria-expanded="true"
        aria-controls=${list}
        aria-activedescendant=${items[chosen] && `${list}-${chosen}`}
        aria-autocomplete="list"
        autocomplete="off"
        spellcheck=${false}
        placeholder=${t("A view, a project, a task's title or id, or what to do")}
        value=${typed}
        data-testid="palette-input"
        onInput=${(event) => {
          setTyped(event.target.value);
          setAt(0);
        }}
        onKeyDown=${pressed}
      />
      <ul id=${list} role="listbox" aria-label=${t("Found")}>
        ${items.map(
          (item, index) =>
            html`<li
              key=${item.key}
              id=${`${list}-${index}`}
              role="option"
              aria-selected=${index === chosen}
              data-testid="palette-item"
              onClick=${() => take(item)}
              onPointerMove=${() => index !== chosen && setAt(index)}
            >
              <${Item} of=${item} />
            </li>`,
        )}
      </ul>
      <p class="muted" role="status">${!items.length && found && t("Nothing is called that.")}</p>
    </div>
  <//>`;
}

const Item = ({ of }) =>
  of.task
    ? html`<code>${shortId(of.task.id)}</code><span>${of.text}</span><${Badge} word=${shownState(of.task)} />`
    : html`<${Icon} name=${of.icon} /><span>${of.text}</span>`;

export const KeyboardHelp = () =>
  html`<${Dialog} title=${t("Keys")} close=${close}>
    ${shortcutLists().map(
      (keys, index) =>
        html`<dl key=${index} class=${classNames("keys", index > 0 && "more")} data-testid="keys">
          ${keys.map(
            ([key, text]) =>
              html`<dt>${key.split(" ").map((one) => html`<kbd key=${one}>${one}</kbd>`)}</dt>
                <dd>${t(text)}</dd>`,
          )}
        </dl>`,
    )}
  <//>`;
