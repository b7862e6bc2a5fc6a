"""What a hostile repository or agent gets: one run tries everything, and each test reads one of its findings."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import leave_out
from tests.workers.runner.fake_program import FakeDriver, attempt, write_program
from tests.workers.runner.run_sandboxes import sandboxes
from tests.workers.runner.runner_platform import PlatformRun, git, head, make_repository, running_platform
from workers.runner.attempt.attempt_settings import AttemptSettings
from workers.runner.attempt.disk_watch import DiskBounds

CANARY = "canary-7d1f"
PASSWORD = "s3cret-password"
MODEL_TOKEN = "awm_model-token"
ATTACKS = r"""
import json, os, signal, socket, subprocess, urllib.request
asked = json.loads(ASKED)
found = {}

def attempt(name, call):
    try:
        found[name] = str(call())
    except BaseException as error:
        found[name] = f"refused: {type(error).__name__} {error}"

def reach(address, family=socket.AF_INET):
    with socket.socket(family) as one:
        one.settimeout(3)
        one.connect(address)
        return "connected"

def page(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        return opener.open(url, timeout=60).status
    except urllib.error.HTTPError as error:
        return error.code

def through_proxy(host):
    proxy = os.environ["HTTPS_PROXY"].rpartition("//")[2].rstrip("/").split(":")
    with socket.create_connection((proxy[0], int(proxy[1])), 60) as one:
        one.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
        return one.recv(100).split(b"\r\n")[0].decode()

for name, path in asked["files"].items():
    attempt(f"read {name}", lambda: open(path).read())
attempt("home of the user", lambda: os.listdir(asked["user_home"]))
for name, address in asked["addresses"].items():
    attempt(f"connect {name}", lambda: reach(tuple(address)))
attempt("unix socket", lambda: reach(asked["unix"], socket.AF_UNIX))
attempt("abstract socket", lambda: reach("\0" + asked["abstract"], socket.AF_UNIX))
attempt("gateway", lambda: page(asked["platform"] + "/gateway/models"))
attempt("platform", lambda: page(asked["platform"] + "/api/tasks"))
for host in ("evil.example.com", "169.254.169.254", "10.0.0.1"):
    attempt(f"proxy {host}", lambda: through_proxy(host))
attempt("kill the runner", lambda: os.kill(asked["pid"], signal.SIGKILL))
attempt("processes", lambda: len([name for name in os.listdir("/proc") if name.isdigit()]))
attempt("push to main", lambda: subprocess.run(["git", "push", asked["repository"], "HEAD:main"], check=True))
attempt("write outside", lambda: open("/usr/local/evil", "w").write("x"))
attempt("remount", lambda: subprocess.run(["mount", "-o", "remount,rw", "/usr"], check=True))
found["environment"] = dict(os.environ)

# What the platform reads and runs afterwards.
mark = f"touch {asked['outside']}; echo {asked['canary']}-ran"
open(".gitattributes", "w").write("* filter=evil\n")
for key, value in {"core.fsmonitor": mark, "filter.evil.clean": f"touch {asked['outside']}; cat",
                   "core.sshCommand": mark, "uploadpack.packObjectsHook": mark,
                   "core.hooksPath": os.getcwd() + "/hooks"}.items():
    subprocess.run(["git", "config", key, value], check=True)
os.mkdir("hooks")
for hook in ("pre-commit", "post-commit", "reference-transaction", "pre-push", "post-checkout"):
    open(f"hooks/{hook}", "w").write(f"#!/bin/sh\n{mark}\n")
    os.chmod(f"hooks/{hook}", 0o755)
open(".git/objects/info/alternates", "w").write(asked["other_objects"] + "\n")
os.symlink(asked["files"]["data"], "link.txt")
os.mkfifo("pipe")
os.mkfifo(os.environ["HOME"] + "/.fake/pipe")
os.symlink(asked["files"]["data"], os.environ["HOME"] + "/.fake/stolen")
json.dump(found, open("found.json", "w"))
"""
SCRIPT = """
session s-1
ASKED='@asked@' python3 -c "import os; ASKED = os.environ.pop('ASKED'); exec(os.environ.pop('ATTACKS'))"
edit c-1 link.txt '' 'x'; result c-1 true ok; edit c-2 pipe '' 'y'; result c-2 true ok
end true 'Honest work'
"""


@dataclass
class Ran:
    """What a hostile run left: its findings, its report, and the places that it tried to reach."""

    found: dict[str, Any]
    run: PlatformRun
    repository: Path
    folder: Path
    session: bytes


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("hostile")
    if not sandboxes(folder / "probe").is_confining:
        leave_out(sandboxes(folder / "probe").finding.says)
    repository = make_repository(folder / "forge")
    other = make_repository(folder / "agent" / "runs" / "other")
    files = {"data": folder / "data" / "secret_key", "other run": other.parent / "work" / "secret"}
    with contextlib.ExitStack() as stack:
        platform = stack.enter_context(running_platform())
        platform.failures["^/gateway/"] = [404]
        in_home = stack.enter_context(tempfile.NamedTemporaryFile("w", dir=Path.home(), prefix=".canary-"))
        in_home.write(CANARY)
        in_home.flush()
        for path in files.values():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(CANARY)
        elsewhere = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        abstract = f"{folder.name}-{os.getpid()}"  # one name for the whole machine
        for address in (str(folder / "x.sock"), f"\0{abstract}"):
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(address)
            listener.listen()
        asked = {
            "files": {**{name: str(path) for name, path in files.items()}, "home": in_home.name,
                      "own": f"/proc/{os.getpid()}/environ", "mirror": str(folder / "work" / "origin.git" / "config"),
                      "shadow": "/etc/shadow"},
            "user_home": str(Path.home()),
            "addresses": {"loopback": ["127.0.0.1", elsewhere.getsockname()[1]], "metadata": ["169.254.169.254", 80],
                          "private": ["10.0.0.1", 80], "public": ["1.1.1.1", 443]},
            "unix": str(folder / "x.sock"), "abstract": abstract, "platform": platform.url, "pid": os.getpid(),
            "repository": str(repository), "outside": str(folder / "mark"), "canary": CANARY,
            "other_objects": str(other / "objects"),
        }  # fmt: skip
        driver = FakeDriver(folder / "fake", kept=(".fake", ".fake/**"))
        attacks = folder / "attacks"
        attacks.write_text(ATTACKS)
        script = SCRIPT.replace("@asked@", json.dumps(asked))
        write_program(driver.executable, f"ATTACKS=$(cat <<'END'\n{ATTACKS}\nEND\n)\nexport ATTACKS\n{script}")
        run = platform.add_run(
            "run-1", repository, "x", driver="fake", username="run", password=PASSWORD,
            network={"egress": "registries", "hosts": []},
            models={"token": MODEL_TOKEN, "addresses": {"anthropic": f"{platform.url}/gateway"}},
        )  # fmt: skip
        attempt(platform, run, folder / "work", driver).execute()
        assert run.finish is not None, run.log
        assert run.finish["outcome"] == "completed", run.log
        found = json.loads(git("show", "task-1:found.json", cwd=repository))
        yield Ran(found, run, repository, folder, platform.sessions.get("task-id-1", b""))


def test_files_of_others_are_not_there(ran: Ran) -> None:
    for name in ("data", "other run", "home", "own", "mirror", "shadow"):
        assert ran.found[f"read {name}"].startswith("refused: "), ran.found[f"read {name}"]


def test_no_address_and_no_socket_is_reached_directly(ran: Ran) -> None:
    for name in ("connect loopback", "connect metadata", "connect private", "connect public", "unix socket"):
        assert ran.found[name].startswith("refused: "), ran.found[name]
    assert ran.found["abstract socket"].startswith("refused: ")


def test_of_the_platform_only_the_gateway_is_reached(ran: Ran) -> None:
    assert ran.found["gateway"] == "404"  # the stand-in's answer
    assert ran.found["platform"] == "403"


def test_the_proxy_refuses_a_host_and_the_log_names_it(ran: Ran) -> None:
    for host in ("evil.example.com", "169.254.169.254", "10.0.0.1"):
        assert " 403" in ran.found[f"proxy {host}"], ran.found[f"proxy {host}"]
        assert f"{host} is not reachable: " in ran.run.log


def test_no_other_process_is_seen_or_killed(ran: Ran) -> None:
    assert ran.found["kill the runner"].startswith("refused: ProcessLookupError")
    assert int(ran.found["processes"]) < 10


def test_nothing_is_written_outside_and_no_right_is_gained(ran: Ran) -> None:
    assert ran.found["write outside"].startswith("refused: ")
    assert ran.found["remount"].startswith("refused: ")
    assert not (ran.folder / "mark").exists()


def test_nothing_but_its_branch_is_pushed(ran: Ran) -> None:
    assert ran.found["push to main"].startswith("refused: ")
    assert head(ran.repository, "main") == git("rev-parse", "task-1~1", cwd=ran.repository)
    assert git("for-each-ref", "--format=%(refname)", cwd=ran.repository) == "refs/heads/main\nrefs/heads/task-1"


def test_the_environment_holds_no_secret_but_the_models(ran: Ran) -> None:
    environment = json.dumps(ran.found["environment"])
    assert MODEL_TOKEN in environment
    for secret in (PASSWORD, "token-of-run-1", CANARY):
        assert secret not in environment


def test_what_its_links_lead_to_is_in_no_transcript_commit_or_session(ran: Ran) -> None:
    assert CANARY not in ran.run.log.replace(f"{CANARY}-ran", "")
    assert CANARY not in json.dumps([line.get("details") for line in ran.run.lines])
    assert CANARY.encode() not in ran.session
    assert git("ls-tree", "task-1", "link.txt", cwd=ran.repository).startswith("120000 ")


def test_its_processes_and_files_are_gone(ran: Ran) -> None:
    assert not (ran.folder / "work").exists()
    assert list(ran.folder.glob("work-sandboxes/*")) == []


# How much it may use


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[Any]:
    if not sandboxes(tmp_path / "probe").is_confining:
        leave_out(sandboxes(tmp_path / "probe").finding.says)
    repository = make_repository(tmp_path / "forge")
    with running_platform() as platform:

        def execute(script: str, setup: str | None = None, **settings: Any) -> tuple[PlatformRun, Path]:
            driver = FakeDriver(tmp_path / "fake")
            write_program(driver.executable, script)
            run = platform.add_run("run-1", repository, "x", driver="fake", setupCommand=setup)
            attempt(platform, run, tmp_path / "work", driver, AttemptSettings(ask_hold_seconds=0, **settings)).execute()
            assert run.finish is not None, run.log
            return run, repository

        yield execute


def test_a_run_that_fills_the_disk_is_stopped_and_its_work_is_kept(hostile: Any) -> None:
    # The file is there as a whole or not at all: a part of it might be small enough to be kept.
    filling = "head -c 60000000 /dev/urandom > .git/fill; mv .git/fill fill"
    script = f"session s; echo good > work.txt; {filling}; sleep 600"

    run, repository = hostile(script, disk=DiskBounds(run_bytes=50_000_000))

    assert run.finish["outcome"] == "failed"
    assert "filled more than 48 MiB of this machine's disk" in run.finish["reason"]
    assert git("show", "task-1:work.txt", cwd=repository) == "good"
    assert git("ls-tree", "--name-only", "task-1", "fill", cwd=repository) == ""
