"""Pages of docs/ as a reader follows them: every script that uses the command or make, in a real shell.

The quickstart's first script starts the one platform that all pages talk to; scripts that start a platform themselves
share a second folder. What stands for a reader's own things (addresses, folders, ids) is replaced, see `words`.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from common.values.names import RECEIPTS_REF
from tests.conftest import leave_out, need
from tests.deploy.reading import Reader, Said
from tests.deploy.typed_programs import path_with_make
from tests.e2e.client import Client
from tests.e2e.instance import Instance, wait_until
from tests.e2e.models import INSTALLED
from tests.providers.git_work_tree import git
from tests.web.documentation.snippets import TYPED_PAGES, Block
from web.cli.tables import short_id

pytestmark = pytest.mark.slow

README = "README.md"
BACKUP = "docs/backup.md"
COMMAND = "docs/command.md"
QUICKSTART = "docs/quickstart.md"

UP = "AiWorker is up."
SAMPLE = "8641849b"
"""The task of docs/command.md."""
ELSEWHERE = "https://aiworker.example.org"
ASKS = """```steps
- ask: {question: "In which language should it greet?", options: [English, Spanish]}
- write: {path: greeting.txt, content: "{{answer}}\\n"}
```
"""
WORKS = """```steps
- write: {path: total.txt, content: "12\\n"}
```
"""


@dataclass(frozen=True)
class Platform:
    """instance: started by the quickstart, whose reader is `reader`. hello: its project, which is in production."""

    instance: Instance
    reader: Reader
    api: Client
    hello: str
    clone: Path
    key: str

    def write(self, title: str, description: str, state: str) -> str:
        """A task that has come to this state; its id."""
        body = {"projectId": self.hello, "title": title, "description": description}
        task_id = str(self.api.post("/tasks", body, 201)["task"]["id"])
        self.wait_for(task_id, state)
        return task_id

    def wait_for(self, task_id: str, state: str) -> None:
        _wait(self.api, f"/tasks/{task_id}", "task", "state", state)


def _wait(api: Client, path: str, kind: str, field: str, value: str) -> None:
    def is_reached() -> bool:
        seen = api.get(path)[kind]
        assert seen[field] == value or seen[field] not in {"failed", "conflict", "cancelled"}, seen
        return bool(seen[field] == value)

    wait_until(f"{path} to be {value}", is_reached)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    need("make", "git", "curl")
    return path_with_make(tmp_path_factory.mktemp("programs") / "bin")


@pytest.fixture(scope="module")
def platform(path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("platform")
    # A run that asks keeps its place for a while.
    instance = Instance(folder, AIWORKER_AGENT_SLOTS="4")
    reader = Reader(QUICKSTART, _folder(folder / "reader"), _on(instance, path, folder))
    with reader.reading("make up", until=lambda said: UP in said):
        login = Client.login(instance.url, "admin", instance.password)
        api = Client(instance.url, login.api_token())
        made = reader.read("aiworker project create")
        assert made.failed == [], made
        hello = api.get("/projects")["projects"][0]
        _wait(api, f"/projects/{hello['id']}", "project", "status", "active")
        # Health is held for as long as a person may look: here for a moment.
        api.patch(f"/projects/{hello['id']}", {"healthSeconds": {"preview": 0, "staging": 0, "production": 0}})
        given = reader.read("aiworker task create Hello 'Greet")
        assert given.failed == [], given
        (task,) = api.get(f"/tasks?projectId={hello['id']}")["tasks"]
        _wait(api, f"/tasks/{task['id']}", "task", "state", "ready_to_test")
        _release(api, hello["id"], task["id"])
        clone, key = _clone(api, hello, folder), folder / "aiworker.pem"
        printed = reader.run(Block("public key", "bash", frozenset(), f"aiworker public-key >{key}\n"))
        assert printed.failed == [], printed
        yield Platform(instance, reader, api, hello["id"], clone, key.read_text())
        api.close()


def _folder(place: Path) -> Path:
    place.mkdir(exist_ok=True)
    return place


def _on(instance: Instance, path: str, home: Path) -> dict[str, str]:
    """What is known on the platform's own machine."""
    return {**instance.environ, **_away(path, home)}


def _away(path: str, home: Path) -> dict[str, str]:
    """What is known on a machine that has the command only."""
    return {
        "PATH": path, "HOME": str(home), "NO_COLOR": "1", "VENV": sys.prefix, "BROWSER": "browser-of-tests",
        "AIWORKER_AGENT_DRIVERS_DIR": str(INSTALLED),
    }  # fmt: skip


def _release(api: Client, project_id: str, task_id: str) -> None:
    """As the quickstart says: approve, group, staging, production."""
    api.post(f"/tasks/{task_id}/approve")
    group = api.post("/task-groups", {"projectId": project_id, "taskIds": [task_id], "name": "First"}, 201)["taskGroup"]
    _wait(api, f"/task-groups/{group['id']}", "taskGroup", "status", "merged")
    for environment in ("staging", "production"):
        api.post(f"/task-groups/{group['id']}/deploy-{environment}", status=202)
        _wait(api, f"/task-groups/{group['id']}", "taskGroup", "status", environment)


def _clone(api: Client, project: Mapping[str, str], folder: Path) -> Path:
    """A clone with the receipt of its head."""
    place = folder / "clone"
    address = urlsplit(project["giteaRepoUrl"])
    git("clone", "--quiet", f"http://x:{api.token}@{address.netloc}{address.path}.git", str(place))

    def has_receipt() -> bool:
        git("fetch", "--quiet", "origin", f"+{RECEIPTS_REF}*:{RECEIPTS_REF}*", at=place)
        return bool(git("for-each-ref", f"{RECEIPTS_REF}*", at=place))

    wait_until("the receipt", has_receipt)
    return place


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Instance:
    """A folder for platforms that scripts start, one after the other: nothing runs there between them."""
    return Instance(tmp_path_factory.mktemp("second"))


@contextlib.contextmanager
def stirred(instance: Instance) -> Iterator[None]:
    """Something happens there all the time, for those who watch: projects are made."""
    over = threading.Event()

    def stir() -> None:
        api: Client | None = None
        for number in range(10_000):
            with contextlib.suppress(AssertionError, requests.RequestException):
                api = api or Client.login(instance.url, "admin", instance.password)
                api.post("/projects", {"name": f"Stir {number}"}, 201)
            if over.wait(1):
                return

    thread = threading.Thread(target=stir)
    thread.start()
    yield
    over.set()
    thread.join()


def well(said: Said, *allowed: str) -> str:
    """What was said where nothing failed but these."""
    assert said.failed == list(allowed), said
    return said.text


def test_the_quickstart_goes_on_with_a_model(platform: Platform, second: Instance, path: str) -> None:
    """Its other scripts have started the platform of all these tests, with a version in production."""
    reader = platform.reader
    reader.env = _on(second, path, second.folder)
    reader.words["…"] = "sk-of-tests"
    _needs("claude")
    well(reader.read("export ANTHROPIC_API_KEY", until=lambda said: UP in said))

    reader.env = _on(platform.instance, path, platform.instance.folder)
    with stirred(platform.instance):
        watched = reader.read("aiworker task create Hello 'Show", endless={"aiworker watch": "project:"})
    well(watched)
    reader.finish()
    titles = [task["title"] for task in platform.api.get(f"/tasks?projectId={platform.hello}")["tasks"]]
    assert "Show the time of day below the greeting, and test it" in titles


def _needs(driver: str) -> None:
    if not (INSTALLED / driver).exists():
        leave_out(f"{driver} is not installed in {INSTALLED}: .ci/packages installs it")


def test_the_command_is_used_from_another_machine(platform: Platform, path: str, tmp_path: Path) -> None:
    shop = _folder(tmp_path / "shop")
    (shop / "index.html").write_text("<h1>Shop</h1>\n")
    git("init", "--quiet", "--initial-branch=main", at=shop)
    git("add", "--all", at=shop)
    git("commit", "--quiet", "--message", "Open the shop", at=shop)
    reader = Reader(COMMAND, shop, _away(path, tmp_path), words={ELSEWHERE: platform.instance.url})

    entered = reader.read("aiworker login", typing={"User": "admin", "assword": platform.instance.password})
    assert "admin (admin) at" in well(entered)
    assert "is linked to shop" in well(reader.read("aiworker project import ."))

    reader.folder = platform.clone
    linked = reader.run(Block("a link", "bash", frozenset(), "aiworker init\n"))
    assert "is linked to Hello" in well(linked)
    asking, ready = platform.write("Ask", ASKS, "needs_input"), platform.write("Add", WORKS, "ready_to_test")
    for verb in ("watch", "answer"):
        reader.words[f"task {verb} {SAMPLE}"] = f"task {verb} {short_id(asking)}"
    reader.words[SAMPLE] = short_id(ready)
    decided = well(reader.read("aiworker task add", typing={"number": "1", "[q]uit": "a"}))
    assert "total.txt" in decided
    platform.wait_for(ready, "approved")
    assert platform.api.get(f"/tasks/{asking}")["task"]["questions"][0]["response"] == "English"
    _releases_and_the_rest(reader, platform, ready)


def _releases_and_the_rest(reader: Reader, platform: Platform, task_id: str) -> None:
    (platform.clone / "aiworker.pem").write_text(platform.key)
    released = well(reader.read("aiworker group create", typing={"[y/N]": "y"}))
    assert f"verified: {git('rev-parse', 'HEAD', at=platform.clone).strip()}" in released
    assert "production goes back to" in released

    with stirred(platform.instance):
        rest = reader.read("aiworker spend", typing={"no question": ""}, endless={"aiworker watch": "project:"})
    well(rest)
    home = Path(reader.env["HOME"])
    address = f"{platform.instance.url}/#/projects/{platform.hello}/tasks/{task_id}"
    assert (home / "opened").read_text().split() == [address]
    assert "_aiworker_completion" in (home / ".local/share/bash-completion/completions/aiworker").read_text()
    reader.finish()


def test_the_page_of_backups_writes_one_and_checks_it(platform: Platform, path: str, tmp_path: Path) -> None:
    _folder(tmp_path / "etc")
    (tmp_path / "etc/backup-passphrase").write_text("a passphrase of tests\n")
    (tmp_path / "var/aiworker").mkdir(parents=True)
    words = {
        "/etc/aiworker": str(tmp_path / "etc"), "/var/backups": str(tmp_path / "var"),
        "2026-11-27": datetime.now().astimezone().strftime("%F"),
    }  # fmt: skip
    reader = Reader(BACKUP, tmp_path, _on(platform.instance, path, tmp_path), test=TYPED_PAGES, words=words)

    assert "The backup is whole" in well(reader.read("aiworker restore --check"))
    reader.finish()
