"""Pictures of every view for docs/images: `python -m tests.e2e.pictures [folder]`.

It starts an instance of its own, goes the way of docs/quickstart.md with the task that stands there, leaves other
tasks in several states, and takes each view. Look at the pictures before you commit them.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.e2e.browser import chromium
from tests.e2e.client import Client, Json
from tests.e2e.instance import ROOT, Instance, running, wait_until
from tests.web.documentation.snippets import blocks

WIDE: ViewportSize = {"width": 1440, "height": 860}
PHONE: ViewportSize = {"width": 390, "height": 780}
ALSO = {"board", "task", "group", "docs"}
"""Views that are taken in dark and on a phone as well."""
PRICES = """```steps
- say: Prices belong into a table of their own.
- write: {path: prices.html, content: "<h1>Prices</h1>\\n<table>\\n<tr><th>Coffee</th><td>2.40</td></tr>\\n</table>\\n"}
- replace: {path: index.html, old: "</h1>", new: "</h1>\\n<a href=\\"prices.html\\">Prices</a>"}
- run: "python3 -m unittest -q"
```"""
FOOTER = """```steps
- write: {path: footer.html, content: "<footer>Open every day</footer>\\n"}
- run: "python3 -m unittest -q"
```"""
ASKS = """```steps
- ask: {question: "Which currency should prices have?", options: [Euro, US dollar, Both]}
```"""
FAILS = "```steps\n- fail: The map service needs a key, and the project has none.\n```"
WORKS = "```steps\n- say: Reading the repository.\n- sleep: 600\n```"


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "docs" / "images")
    browser_path = shutil.which("chromium")
    assert browser_path, "install chromium"
    with (
        tempfile.TemporaryDirectory(prefix="pictures-") as temporary,
        running(Path(temporary), AIWORKER_AGENT_SLOTS="3") as instance,
        chromium(browser_path) as browser,
    ):
        folder.mkdir(parents=True, exist_ok=True)
        with _signed_in(browser, instance, WIDE, "light") as page:
            print(_picture(page, folder / "welcome.png"), flush=True)
        client = Client.login(instance.url, "admin", instance.password)
        addresses = dict(_addresses(_work(client)))
        client.close()
        for name in _take(browser, instance, folder, addresses):
            print(name, flush=True)


def _work(client: Client) -> Mapping[str, str]:
    """Go the quickstart's way, then leave tasks in several states. Returns the ids that addresses need."""
    project = client.post("/projects", {"name": "Hello", "testCommand": "python3 -m unittest -q"}, 201)["project"]["id"]
    (described,) = [one.text for one in blocks() if one.page == "docs/quickstart.md" and one.language == "markdown"]
    first = _task(client, project, "Greet whoever visits", described)
    asked = _until(client, first, "needs_input")["questions"][0]
    client.post(f"/tasks/{first}/respond", {"questionId": asked["id"], "response": "Spanish"})
    group = _group(client, project, "Sprint 1", _approved(client, first))
    for environment in ("staging", "production"):
        client.post(f"/task-groups/{group}/deploy-{environment}", status=202)
        _until(client, group, environment, of="task-groups", key="taskGroup", field="status")
    footer = _approved(client, _task(client, project, "Say when we are open", FOOTER))
    _group(client, project, "Sprint 2", footer)
    prices = _task(client, project, "Show prices", PRICES, priority="high", labels=["shop"])
    _until(client, prices, "ready_to_test")
    asks = _task(client, project, "Choose a currency", ASKS, labels=["shop"])
    _until(client, asks, "needs_input")
    _until(client, _task(client, project, "Show a map of the place", FAILS), "failed")
    _until(client, _task(client, project, "Count visitors", WORKS), "in_progress")
    _task(client, project, "Sell vouchers", WORKS, dependsOn=[prices], priority="urgent")
    client.post(
        "/model-providers",
        {"name": "main", "api": "anthropic", "baseUrl": "https://api.anthropic.com", "key": "sk-of-a-picture"},
        201,
    )
    agent = client.get("/agents")["agents"][0]["id"]
    return {"project": project, "task": prices, "asks": asks, "done": first, "group": group, "agent": agent}


def _task(client: Client, project: str, title: str, description: str, **fields: Json) -> str:
    body = {"projectId": project, "title": title, "description": description, **fields}
    return str(client.post("/tasks", body, 201)["task"]["id"])


def _until(
    client: Client, thing: str, wanted: str, *, of: str = "tasks", key: str = "task", field: str = "state"
) -> Json:
    """The thing, once it is in this state."""
    wait_until(f"{key} to be {wanted}", lambda: client.get(f"/{of}/{thing}")[key][field] == wanted)
    return client.get(f"/{of}/{thing}")[key]


def _approved(client: Client, task: str) -> str:
    _until(client, task, "ready_to_test")
    client.post(f"/tasks/{task}/approve")
    return task


def _group(client: Client, project: str, name: str, task: str) -> str:
    body = {"projectId": project, "taskIds": [task], "name": name}
    group = str(client.post("/task-groups", body, 201)["taskGroup"]["id"])
    _until(client, group, "merged", of="task-groups", key="taskGroup", field="status")
    return group


def _addresses(ids: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Every view by the name of its picture, and where it is."""
    project = f"/#/projects/{ids['project']}"
    yield "board", f"{project}/tasks"
    yield "task", f"{project}/tasks/{ids['task']}"
    yield "task-review", f"{project}/tasks/{ids['task']}/review"
    yield "task-work", f"{project}/tasks/{ids['done']}/work"
    yield "question", f"{project}/tasks/{ids['asks']}"
    yield "task-in-production", f"{project}/tasks/{ids['done']}"
    yield "groups", f"{project}/groups"
    yield "tests", f"{project}/tests"
    yield "activity", f"{project}/activity"
    yield "group", f"{project}/groups/{ids['group']}"
    yield "deployments", f"{project}/deployments"
    yield "project-settings", f"{project}/settings"
    yield "agents", "/#/agents"
    yield "agent", f"/#/agents/{ids['agent']}"
    for view in ("inbox", "jobs", "spend", "models", "admin", "account"):
        yield view, f"/#/{view}"
    yield "new-project", "/#/projects/new"
    yield "docs", "/docs/quickstart"
    yield "api", "/api/docs"


def _take(browser: Browser, instance: Instance, folder: Path, addresses: Mapping[str, str]) -> Iterator[str]:
    page = browser.new_page(viewport=WIDE, color_scheme="light")
    page.goto(instance.url)
    yield _picture(page, folder / "login.png")
    page.close()
    for suffix, size, scheme in (("", WIDE, "light"), ("-dark", WIDE, "dark"), ("-phone", PHONE, "light")):
        with _signed_in(browser, instance, size, scheme) as page:
            for name, address in addresses.items():
                if not suffix or name in ALSO:
                    page.goto(f"{instance.url}{address}")
                    yield _picture(page, folder / f"{name}{suffix}.png")


@contextlib.contextmanager
def _signed_in(browser: Browser, instance: Instance, size: ViewportSize, scheme: str) -> Iterator[Page]:
    """The page of the administrator, in a context of its own."""
    context = browser.new_context(viewport=size, color_scheme="dark" if scheme == "dark" else "light")
    page = context.new_page()
    page.goto(instance.url)
    page.get_by_test_id("login-username").fill("admin")
    page.get_by_test_id("login-password").fill(instance.password)
    page.get_by_test_id("login-submit").click()
    page.get_by_test_id("who").wait_for(state="attached")
    yield page
    context.close()


def _picture(page: Page, path: Path) -> str:
    """Once nothing loads and moves any more."""
    page.wait_for_load_state("networkidle")
    # What is folded in loads when it is opened.
    expect(page.locator(".loading").filter(visible=True)).to_have_count(0)
    page.evaluate("document.fonts.ready.then(() => true)")
    page.screenshot(path=path, animations="disabled", caret="hide")
    return path.name


if __name__ == "__main__":
    main()
