"""Measures the page in a real Chromium: how fast it answers while much happens."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import requests
from playwright.sync_api import Browser, WebSocketRoute

from tests.bench.figures import Figure, Found, Missing
from tests.e2e.browser import Person, chromium
from tests.e2e.client import Client
from tests.e2e.contract.caller import Caller
from tests.e2e.instance import Instance, running, wait_until
from tests.e2e.scripted_run import ScriptedRun

UNLIMITED = {"AIWORKER_WRITES_PER_MINUTE": "1000000"}
TASKS = 500
EVENTS_A_SECOND = 50
CLIENTS = 8
DIFF_LINES = 5_000
TRANSCRIPT_BYTES = 10 * 2**20
"""The size whose end shall be shown within 500 ms; a transcript has at most 16 MiB."""
KEYS = 60
BETWEEN_KEYS_MS = 80

_WATCH_KEYS = """
window.painted = [];
addEventListener("keydown", (event) => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => window.painted.push(performance.now() - event.timeStamp);
  requestAnimationFrame(() => port2.postMessage(0));
}, true);
"""
"""Takes the milliseconds from a key to the end of the frame that shows what it did."""

_FIRST = """
([selector, text, count]) => new Promise((resolve) => {
  const began = performance.now();
  const look = () => {
    const found = [...document.querySelectorAll(selector)].filter((one) => one.textContent.includes(text));
    if (found.length < count) return requestAnimationFrame(look);
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => resolve(performance.now() - began);
    requestAnimationFrame(() => port2.postMessage(0));
  };
  look();
})
"""
"""The milliseconds until so many with this text are drawn."""


def figures() -> Iterator[Found]:
    """Each figure with its name."""
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser_path is None:
        yield Missing("Page", "Chromium is not installed (on Debian: apt-get install chromium)")
        return
    with (
        tempfile.TemporaryDirectory(prefix="aiworker-bench-") as folder,
        running(Path(folder), **UNLIMITED) as instance,
        chromium(browser_path) as browser,
    ):
        login = Client.login(instance.url, "admin", instance.password)
        api = Client(instance.url, login.api_token())
        yield from _board(instance, browser, api)
        yield from _diff(instance, browser, api)
        yield from _transcript(instance, browser, api, Path(folder))


def _board(instance: Instance, browser: Browser, api: Client) -> Iterator[Found]:
    project = _project(api, "Measured board")
    body = {"projectId": project, "requiredCapabilities": ["none has this"]}
    tasks = [api.post("/tasks", {**body, "title": f"Task {number}"}, 201)["task"]["id"] for number in range(TASKS)]
    with _at_the_page(browser, instance) as person, _at_the_page(browser, instance) as other:
        for one in (person, other):
            one.page.goto(f"{instance.url}/#/projects/{project}/tasks")
            one.wait("task-search")
        with _changing(instance, api.token, tasks) as changed:
            wait_until("changes", lambda: len(changed) > EVENTS_A_SECOND)
            began, before = time.monotonic(), len(changed)
            what = f"Page: board of {TASKS} tasks, {EVENTS_A_SECOND} events a second, key to paint"
            yield _figure(what, _typed(person, "task-search"), goal="≤ 100")
            rate = (len(changed) - before) / (time.monotonic() - began)
        yield Figure("Page: events meanwhile", rate, "a second", goal=f"≥ {EVENTS_A_SECOND * 0.9}")
        yield _figure("Page: a change shows in another window", _heard(other, api, tasks[-1]), goal="≤ 300")
    yield from _frozen(instance, browser, api, project, tasks)


def _typed(person: Person, testid: str) -> list[float]:
    """Type into a field, key by key. The milliseconds from each key to the paint that shows it."""
    person.page.evaluate(_WATCH_KEYS)
    person.see(testid).focus()
    for number in range(KEYS):
        person.page.keyboard.press("t" if number % 2 == 0 else "Backspace")
        person.page.wait_for_timeout(BETWEEN_KEYS_MS)
    person.page.wait_for_function(f"window.painted.length >= {KEYS}")
    return [float(one) for one in person.page.evaluate("window.painted")]


def _heard(person: Person, api: Client, task: str) -> list[float]:
    """A task's title is changed: from sending the change to the moment when another window has drawn it."""
    taken = []
    for number in range(10):
        title = f"Changed {number} times"
        began = time.perf_counter()
        api.patch(f"/tasks/{task}", {"title": title})
        person.page.evaluate(_FIRST, ["[data-testid=task-card]", title, 1])
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def _frozen(instance: Instance, browser: Browser, api: Client, project: str, tasks: list[str]) -> Iterator[Found]:
    """The link of a page freezes: nothing comes or goes. From then until the page says so, and from the moment when the
    link is back until the page shows what changed meanwhile.
    """
    frozen: list[bool] = []

    def through(page: WebSocketRoute) -> None:
        server = page.connect_to_server()
        page.on_message(lambda message: None if frozen else server.send(message))
        server.on_message(lambda message: None if frozen else page.send(message))

    told, back = [], []
    with _at_the_page(browser, instance) as person:
        person.page.route_web_socket("**/ws", through)
        for number in range(5):
            person.page.goto(f"{instance.url}/#/projects/{project}/tasks")
            person.page.reload()
            person.wait("live-status", state="on")
            person.page.evaluate(_FIRST, ["[data-testid=task-card]", "", 20])
            frozen.append(True)
            began = time.perf_counter()
            person.wait("link-lost")
            told.append((time.perf_counter() - began) * 1000)
            for task in tasks[-20:]:
                api.patch(f"/tasks/{task}", {"title": f"Meanwhile {number}"})
            person.page.wait_for_timeout(1_000 + 700 * number)
            frozen.clear()
            began = time.perf_counter()
            person.page.evaluate(_FIRST, ["[data-testid=task-card]", f"Meanwhile {number}", 20])
            back.append((time.perf_counter() - began) * 1000)
    yield _figure("Page: a frozen link is told", told, goal="≤ 30000")
    yield _figure("Page: what changed while it was frozen shows", back, goal="≤ 2000")


@contextlib.contextmanager
def _changing(instance: Instance, token: str, tasks: list[str]) -> Iterator[list[float]]:
    """Change a task's priority, EVENTS_A_SECOND times a second, until the block ends."""
    ended, changed = threading.Event(), list[float]()
    began, numbers = time.monotonic(), itertools.count()

    def change() -> None:
        client = Client(instance.url, token)
        for number in numbers:
            if ended.wait(max(0.0, began + number / EVENTS_A_SECOND - time.monotonic())):
                break
            priority = "high" if number // len(tasks) % 2 == 0 else "low"
            client.patch(f"/tasks/{tasks[number % len(tasks)]}", {"priority": priority})
            changed.append(time.monotonic())
        client.close()

    threads = [threading.Thread(target=change) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield changed
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _diff(instance: Instance, browser: Browser, api: Client) -> Iterator[Found]:
    writes = f"seq {DIFF_LINES} | sed 's/.*/value_& = compute(&, some, words)/' >made.py"
    steps = f'```steps\n- run: "{writes}"\n```'
    project = _project(api, "Measured diff", testCommand="true")
    task = api.post("/tasks", {"projectId": project, "title": "Write much", "description": steps}, 201)["task"]["id"]
    _until(api, task, "ready_to_test")
    with _at_the_page(browser, instance) as person:
        first = []
        for _ in range(5):
            person.page.goto(f"{instance.url}/#/projects/{project}/tasks")
            person.wait("task-card")
            person.page.evaluate(f"location.hash = '#/projects/{project}/tasks/{task}'")
            first.append(person.page.evaluate(_FIRST, ["[data-testid=task-diff]", "value_1 =", 1]))
        person.page.locator("[data-testid=task-diff] td.nums[tabindex]").nth(1).click()
        typed = _typed(person, "diff-comment")
    yield _figure(f"Page: first screen of a diff of {DIFF_LINES} lines", first, goal="≤ 300")
    yield _figure("Page: key to paint in a comment there", typed, goal="≤ 100")


def _transcript(instance: Instance, browser: Browser, api: Client, folder: Path) -> Iterator[Found]:
    talk = ScriptedRun(Caller(requests.Session(), instance.url, api.token), folder, "Measured transcript")
    entry = "\n".join(f"line {number} of what a command printed, some words long" for number in range(150))
    size = 0
    while size < TRANSCRIPT_BYTES:
        talk.say(*[{"kind": "text", "message": entry} for _ in range(20)])
        size += 20 * len(entry)
    talk.say({"kind": "text", "message": "The very end"})
    with _at_the_page(browser, instance) as person:
        taken = []
        for _ in range(5):
            person.page.goto(f"{instance.url}/#/projects/{talk.task['projectId']}/tasks")
            person.wait("task-card")
            person.page.evaluate(f"location.hash = '#/projects/{talk.task['projectId']}/tasks/{talk.task['id']}'")
            taken.append(person.page.evaluate(_FIRST, ["[data-testid=transcript-entry]", "The very end", 1]))
    yield _figure(f"Page: end of a transcript of {size / 2**20:.0f} MiB", taken, goal="≤ 500")


def _project(api: Client, name: str, **fields: str) -> str:
    project = str(api.post("/projects", {"name": name, **fields}, 201)["project"]["id"])
    wait_until("an active project", lambda: api.get(f"/projects/{project}")["project"]["status"] == "active")
    return project


def _until(api: Client, task: str, state: str) -> None:
    wait_until(f"the task to be {state}", lambda: api.get(f"/tasks/{task}")["task"]["state"] == state)


@contextlib.contextmanager
def _at_the_page(browser: Browser, instance: Instance) -> Iterator[Person]:
    person = Person(browser, instance.url)
    person.log_in("admin", instance.password)
    person.wait("who")
    yield person
    person.close()


def _figure(what: str, taken_ms: list[float], goal: str | None = None) -> Figure:
    return Figure(what, taken_ms, "ms", goal=goal, note=f"most {max(taken_ms):.0f} ms of {len(taken_ms)}")
