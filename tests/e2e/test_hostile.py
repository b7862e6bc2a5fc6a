"""A hostile repository on a whole instance: what its agent, setup, tests and preview are made to do gets nothing.

The agent is a real CLI with a scripted model that obeys every order. Its honest part becomes a pull request.
"""

from __future__ import annotations

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from common.settings import socket_path
from tests.conftest import leave_out
from tests.doubles.cli_dialects import DIALECTS
from tests.doubles.model_server import ModelServer, Scene
from tests.doubles.model_wire import Step
from tests.e2e import hostile
from tests.e2e.instance import ROOT, Instance
from tests.e2e.models import SCRIPTED_MODELS, environment_for, environment_of_tests
from tests.e2e.origin import served_repository
from tests.e2e.story import Story, body_of
from tests.long_waits import LONG_WAIT_SECONDS
from tests.providers.git_work_tree import git

pytestmark = pytest.mark.slow

DRIVER = "claude"
SENTENCE = "Do whatever this repository says, and change the greeting to hola."
TEST = f"python3 {hostile.SCRIPT_NAME} tested.json && cat tested.json && echo && python3 -m unittest -q"
PREVIEW = f'python3 {hostile.SCRIPT_NAME} previewed.json && python3 -m http.server --bind "$HOST" "$PORT"'


class Listener:
    """An address outside that should hear nothing: it keeps what it hears."""

    def __init__(self) -> None:
        heard = self.heard = list[str]()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                heard.append(self.path)
                self.send_response(200)
                self.end_headers()

            do_POST = do_CONNECT = do_GET

            def log_message(self, *_arguments: object) -> None:
                """Nobody reads it."""

        self._server = http.server.ThreadingHTTPServer(("", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(0.05), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


def _own_address() -> str:
    """An address of this machine that is not loopback, if it has one; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.2"
        return str(asked.getsockname()[0])


def _targets(instance: Instance, listener: Listener, home: Path, model: ModelServer) -> hostile.Targets:
    """data/ does not exist yet: its paths are those that the instance will make."""
    data = instance.folder / "data"
    trapped = instance.folder / "trapped"
    port = listener.port
    return hostile.Targets(
        files=[
            *(str(data / name) for name in ("secret_key", "canary", "aiworker.db")),
            *(str(data / "agent" / name) for name in ("1/canary", "1/agent.json", "enrolment-token")),
            *(str(home / name) for name in (".ssh/id_ed25519", ".netrc", "canary")),
            *("/etc/shadow", str(instance.folder / "canary")),
        ],
        addresses=[
            ("127.0.0.1", instance.port), ("127.0.0.1", port), (_own_address(), port),
            ("127.0.0.1", urlsplit(model.url).port or 0), ("169.254.169.254", 80), ("10.0.0.1", 80), ("192.0.2.1", 80),
        ],
        sockets=[str(socket_path(data, name)) for name in ("redis", "supervisor")],
        urls=[
            f"http://127.0.0.1:{port}/CANARY-by-url", f"http://{_own_address()}:{port}/CANARY-by-url",
            *(f"{instance.url}/{path}" for path in ("api/health", "git/../api/health", "gateway/..%2fapi/health")),
        ],
        forges=[f"{instance.url}/git/greeter/greeter.git"],
        alternates=[str(instance.folder / "private.git" / "objects")],
        trap=f"#!/bin/sh\necho caught >> {trapped}\ncat\n",
        skipped=[sys.prefix, sys.base_prefix, str(ROOT), "/lib32", "/libx32"],
    )  # fmt: skip


def _plant(instance: Instance, home: Path) -> None:
    """Canaries where the platform and its user keep what is theirs."""
    data = instance.folder / "data"
    for path in (home / ".ssh" / "id_ed25519", home / ".netrc", home / "canary", instance.folder / "canary",
                 data / "canary", data / "agent" / "1" / "canary"):  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{hostile.MARK}-in-{path.name}\n")


def _reports_from(text: str) -> dict[str, Any]:
    """The report that a command printed as one line."""
    line = next(line for line in text.splitlines() if line.startswith('{"read"'))
    report: dict[str, Any] = json.loads(line)
    return report


def _got_nothing(where: str, report: dict[str, Any]) -> None:
    assert report["tried"]["addresses"] > 20, (where, report)
    assert report["tried"]["files"] > 5, (where, report)
    assert report["tried"]["processes"] > 0, (where, report)
    got = {kind: report[kind] for kind in ("read", "reached", "done")}
    assert got == {"read": [], "reached": [], "done": []}, (where, got)


def test_the_script_finds_what_is_not_confined(tmp_path: Path, listener: Listener) -> None:
    """So an empty report means that there were walls."""
    (tmp_path / "canary").write_text(f"{hostile.MARK}-in-a-file")
    targets = hostile.Targets(
        files=[str(tmp_path / "canary")], addresses=[("127.0.0.1", 1), ("127.0.0.1", listener.port)],
        urls=[f"http://127.0.0.1:{listener.port}/"], roots=[str(tmp_path)], seconds=LONG_WAIT_SECONDS,
    )  # fmt: skip
    hostile.write(tmp_path / "tree", targets)
    environ = {**os.environ, "SOMETHING": f"{hostile.MARK}-in-the-environment"}
    subprocess.run([sys.executable, hostile.SCRIPT_NAME, "out.json"], cwd=tmp_path / "tree", env=environ, check=True)

    report = json.loads((tmp_path / "tree" / "out.json").read_text())
    assert report["read"] == [str(tmp_path / "canary"), "environ of a process"]
    assert {f"127.0.0.1:{listener.port}", f"http://127.0.0.1:{listener.port}/ 200"} <= set(report["reached"])
    assert (tmp_path / "planted").exists()


def test_a_hostile_repository_gets_nothing_and_its_honest_part_is_kept(tmp_path: Path, listener: Listener) -> None:
    if not (Path(environment_of_tests()["AIWORKER_AGENT_DRIVERS_DIR"]) / DRIVER).exists():
        leave_out(f"the CLI of the driver {DRIVER} is not installed; run: .ci/packages")
    home = tmp_path / "home"
    cli = DIALECTS[DRIVER]
    steps = (
        cli.run(f"python3 {hostile.SCRIPT_NAME} agent.json", "As it says."),
        cli.run("printf 'hola\\n' > greeting.txt && git add -A && git commit -qm 'Greet in Spanish'; true"),
        Step("Done."),
    )
    private = tmp_path / "private.git"
    git("init", "--quiet", "--bare", str(private))
    with ModelServer([Scene(SENTENCE[:40], steps)]) as model:
        environ = environment_for(DRIVER, model) | environment_of_tests()
        key = environ["ANTHROPIC_API_KEY"] = f"{environ['ANTHROPIC_API_KEY']}-{hostile.MARK}-key"
        instance = Instance(
            tmp_path, **environ, HOME=str(home), SOMEBODYS_TOKEN=f"{hostile.MARK}-in-the-environment",
            AIWORKER_IMPORT_ALLOW="127.0.0.1", AIWORKER_SANDBOX="required",
        )  # fmt: skip
        targets = _targets(instance, listener, home, model)
        _plant(instance, home)
        files = hostile.files_of(targets)
        with served_repository(tmp_path, files) as origin:
            try:
                instance.start()
                _plant(instance, home)
                for egress in ("registries", "none"):
                    _tried_on(instance, origin, egress, key)
                    assert listener.heard == []
                    assert not (tmp_path / "trapped").exists()
                    planted = {Path(name).with_name("planted") for name in targets.files}
                    assert [path for path in planted if path.exists()] == []
            finally:
                instance.kill()


def _tried_on(instance: Instance, origin: str, egress: str, key: str) -> None:
    """A task of a project with this network: its agent, setup, tests and preview got nothing, and its work is kept."""
    story = Story(instance, origin, driver=DRIVER, model=SCRIPTED_MODELS[DRIVER], quiet=True)
    story.log_in()
    story.import_project(
        name=f"Reaches {egress}", egress=egress, testCommand=TEST, startCommand=PREVIEW, forbiddenPaths=[],
        setupCommand=f"python3 {hostile.SCRIPT_NAME} setup.json",
    )  # fmt: skip
    before = _heads(story)
    task_id = story.write_task("Say hola", SENTENCE)
    event = story.heard.wait_state(task_id, "ready_to_test")
    task = story.api.get(f"/tasks/{task_id}")["task"]

    preview = event["data"]["previewUrl"]
    for name in ("agent.json", "setup.json", "previewed.json"):
        _got_nothing(f"{egress}: {name}", json.loads(body_of(f"{preview}/{name}")))
    check = next(one for one in task["checks"] if one["name"] == "tests")
    _got_nothing(f"{egress}: its tests", _reports_from(check["log"]))
    assert requests.get(f"{preview}/obeyed.json", timeout=LONG_WAIT_SECONDS).status_code == 404, "the CLI obeyed it"
    after = _heads(story)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {f"refs/heads/{task['branchName']}"}
    assert body_of(f"{preview}/greeting.txt") == "hola"
    assert task["prNumber"]
    assert key not in json.dumps(task)
    story.close()


def _heads(story: Story) -> dict[str, str]:
    """The branches at the forge and their commits."""
    lines = git("ls-remote", "--heads", story.clone_url()).splitlines()
    return {name: sha for sha, name in (line.split("\t") for line in lines)}
