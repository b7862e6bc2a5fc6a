"""A small platform that speaks the runner's protocol (docs/api-shapes.md) over real HTTP, and keeps what it is told.

It can be told to fail, and can be stopped and started again on the same port with its state.
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.long_waits import LONG_WAIT_SECONDS
from tests.ports import free_port

Json = dict[str, Any]
CLAIM_MEMBERS = ("driver", "model", "models", "prompt", "freshPrompt", "sessionDriver", "attachments",
                 "setupCommand", "cachePaths", "services", "network")  # fmt: skip

Start = Callable[..., "subprocess.Popen[bytes]"]
"""Starts the agent's process, with more arguments and environment variables."""


def eventually(condition: Callable[[], Any], what: str) -> Any:
    """Wait for a condition with a deadline; returns what it gave."""
    deadline = time.monotonic() + LONG_WAIT_SECONDS
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        threading.Event().wait(0.02)
    raise AssertionError(f"it never came to this: {what}")


def wait_for_line(run: PlatformRun, message: str) -> None:
    """Wait for a line of the run's log that is this and no more: a command is shown before it says anything."""
    eventually(lambda: any(line["message"] == message for line in run.lines), f"the run says {message}")


def git(*arguments: str, cwd: Path) -> str:
    """Run git with an identity of the test's own; returns its output, stripped."""
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.invalid", "-c", "init.defaultBranch=main"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=cwd, check=True, capture_output=True, text=True
    ).stdout.strip()


def make_repository(directory: Path, branch: str = "task-1") -> Path:
    """A bare repository with one commit (README.md, app.txt) on main and on the branch."""
    directory.mkdir(parents=True)
    git("init", "--quiet", "work", cwd=directory)
    work = directory / "work"
    (work / "README.md").write_text("# Demo\n")
    (work / "app.txt").write_text("one two\n")
    git("add", ".", cwd=work)
    git("commit", "--quiet", "-m", "Start", cwd=work)
    git("branch", branch, cwd=work)
    git("clone", "--quiet", "--bare", "work", "bare.git", cwd=directory)
    return directory / "bare.git"


@dataclass
class PlatformRun:
    """What the platform knows of one run."""

    claim: Json
    state: str = "waiting to be claimed"
    finish: Json | None = None
    lines: list[Json] = field(default_factory=list)
    progress: list[Json] = field(default_factory=list)
    messages: list[Json] = field(default_factory=list)
    verdicts: list[Json] = field(default_factory=list)
    is_over: bool = False

    @property
    def log(self) -> str:
        return "\n".join(line["message"] for line in self.lines)


class Platform:
    """The state, and one server at a time in front of it."""

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self.runs: dict[str, PlatformRun] = {}
        self.enrolment_tokens = {"enrol-1"}
        self.agent_tokens: set[str] = set()
        self.registrations: list[Json] = []
        self.heartbeats: list[list[str]] = []
        self.heartbeat_bodies: list[Json] = []
        self.directives: list[Json] = []
        self.questions: dict[str, Json] = {}
        self.sessions: dict[str, bytes] = {}
        self.attachments: dict[str, bytes] = {}
        self.handed_over: list[str] = []
        """The runs that were handed out in the reply to the report of another."""
        self.loses_answers = 0
        self.failures: dict[str, list[int]] = {}
        self.seen: list[str] = []
        self.queries: list[str] = []
        self.port = free_port()
        self._server: ThreadingHTTPServer | None = None
        self._is_closing = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._is_closing = False
        platform = self

        class Bound(_Conversation):
            pass

        Bound.platform = platform
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Bound)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """From now on connections are refused; what is held is let go without an answer."""
        with self.lock:
            self._is_closing = True
            self.lock.notify_all()
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    def add_run(self, run_id: str, repository: Path | str, description: str, **more: Any) -> PlatformRun:
        """Queue a run. more: round, feedback, limits, username, password, branch, title, and members of the claim."""
        claim = {
            "run": {"id": run_id, "round": more.get("round", 1), "token": f"token-of-{run_id}"},
            "task": {"id": "task-id-1", "title": more.get("title", "Do it"), "description": description,
                     "branchName": more.get("branch", "task-1"), "priority": "medium", "labels": []},
            "project": {"id": "p", "name": "Demo", "defaultBranch": "main", "testCommand": None,
                        "agentInstructions": ""},
            "clone": {"url": str(repository), "username": more.get("username"), "password": more.get("password"),
                      "branch": more.get("branch", "task-1"), "baseBranch": "main"},
            "prompt": "Please", "feedback": more.get("feedback", []), "limits": more.get("limits", {}),
            "driver": None, "hasSession": "task-id-1" in self.sessions,
            **{name: more[name] for name in CLAIM_MEMBERS if name in more},
        }  # fmt: skip
        with self.lock:
            run = self.runs[run_id] = PlatformRun(claim)
            self.lock.notify_all()
        return run

    def answer(self, text: str) -> None:
        with self.lock:
            for question in self.questions.values():
                question |= {"status": "answered", "response": text}
            self.lock.notify_all()

    def write(self, run: PlatformRun, text: str, *, interrupts: bool = False) -> None:
        """A person writes to a run."""
        with self.lock:
            seq = len(run.messages) + 1
            message = {"id": f"m-{seq}", "seq": seq, "text": text, "author": "Ada", "interrupts": interrupts}
            run.messages.append(message)
            self.lock.notify_all()

    def direct(self, directive: Json) -> None:
        with self.lock:
            self.directives.append(directive)

    def wait(self, seconds: float, until: Callable[[], Any]) -> Any:
        """Under the lock: hold a request; ConnectionAbortedError when the server stops meanwhile."""
        value = self.lock.wait_for(lambda: self._is_closing or until(), timeout=seconds)
        if self._is_closing:
            raise ConnectionAbortedError
        return value


class _Conversation(BaseHTTPRequestHandler):
    platform: Platform
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's own name)
        """Tests read the state, not a log."""

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_GET

    def _answer(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        address = urlsplit(self.path)
        wait = float(parse_qs(address.query).get("wait", ["0"])[0])
        path = address.path.removeprefix("/api")
        try:
            with self.platform.lock:
                status, body = self._route(path, content, wait)
                self.platform.lock.notify_all()
        except ConnectionAbortedError:
            self.close_connection = True
            return
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            self.send_response(status)
            if status != 204:
                self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            if status != 204:
                self.wfile.write(payload)
        except OSError:
            self.close_connection = True

    def _route(self, path: str, content: bytes, wait: float) -> tuple[int, Json | bytes]:
        platform, token = self.platform, (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        platform.seen.append(f"{self.command} {path}")
        platform.queries.append(urlsplit(self.path).query)
        for pattern, statuses in platform.failures.items():
            if statuses and re.search(pattern, path):
                return statuses.pop(0), {"error": "Told to fail"}
        if path == "/runner/register":
            return self._register(token, json.loads(content))
        if path in {"/runner/heartbeat", "/runner/claim"}:
            if token not in platform.agent_tokens:
                return 401, {"error": "Invalid or expired token"}
            return self._heartbeat(json.loads(content)) if path.endswith("heartbeat") else self._claim(wait)
        _, _, _, run_id, *rest = path.split("/")
        run = platform.runs[run_id]
        if token != run.claim["run"]["token"]:
            return 401, {"error": "Invalid or expired token"}
        repeated = rest == ["finish"] and run.finish == json.loads(content)
        if run.is_over and not repeated:
            return 409, {"error": "Conflict", "details": {"field": "state", "message": "the run is over"}}
        return self._report(run, rest, content, wait)

    def _register(self, token: str, body: Json) -> tuple[int, Json]:
        platform = self.platform
        if token not in platform.enrolment_tokens:
            return 401, {"error": "Invalid or expired token"}
        platform.registrations.append(body)
        if platform.loses_answers:
            platform.loses_answers -= 1
            return 500, {"error": "The agent was added, and the answer is lost"}
        platform.enrolment_tokens.discard(token)
        number = len(platform.registrations)
        platform.agent_tokens.add(f"agent-token-{number}")
        return 201, {"agent": {"id": f"agent-{number:012x}"}, "token": f"agent-token-{number}"}

    def _heartbeat(self, body: Json) -> tuple[int, Json]:
        self.platform.heartbeats.append(body["runIds"])
        self.platform.heartbeat_bodies.append(body)
        directives, self.platform.directives = self.platform.directives, []
        return 200, {"leaseUntil": "2026-01-01T00:00:00Z", "directives": directives}

    def _claim(self, wait: float) -> tuple[int, Json]:
        def free() -> PlatformRun | None:
            return next((run for run in self.platform.runs.values() if run.state == "waiting to be claimed"), None)

        run = self.platform.wait(wait, free)
        if not run:
            return 204, {}
        run.state = "claimed"
        return 200, run.claim

    def _report(self, run: PlatformRun, rest: list[str], content: bytes, wait: float) -> tuple[int, Json | bytes]:
        platform, task_id = self.platform, run.claim["task"]["id"]
        match self.command, rest:
            case "POST", ["logs"]:
                lines = json.loads(content)["lines"]
                run.lines += [line for line in lines if line["number"] > len(run.lines)]
                assert [line["number"] for line in run.lines] == list(range(1, len(run.lines) + 1))
                if platform.loses_answers:
                    platform.loses_answers -= 1
                    return 500, {"error": "The lines were stored, and the answer is lost"}
                return 200, {"accepted": len(lines)}
            case "GET", ["messages"]:
                after = int(parse_qs(urlsplit(self.path).query)["after"][0])
                platform.wait(wait, lambda: len(run.messages) > after)
                return 200, {"messages": run.messages[after:]}
            case "GET", ["attachments", attachment_id]:
                kept = platform.attachments.get(attachment_id)
                return (404, {"error": "Resource not found"}) if kept is None else (200, kept)
            case "POST", ["progress" | "usage"]:
                run.progress.append(json.loads(content))
                return 200, {}
            case "POST", ["review"]:
                run.verdicts.append(json.loads(content))
                return 200, {"run": {}}
            case "POST", ["questions"]:
                return self._ask(json.loads(content))
            case "GET", ["questions", question_id]:
                question = platform.questions[question_id]
                platform.wait(wait, lambda: question["response"] is not None)
                return 200, {"question": question}
            case "PUT", ["session"]:
                platform.sessions[task_id] = content
                return 204, {}
            case "GET", ["session"]:
                kept = platform.sessions.get(task_id)
                return (404, {"error": "Resource not found"}) if kept is None else (200, kept)
            case "POST", ["finish"]:
                run.finish, run.is_over = json.loads(content), True
                asks = self.headers.get("AiWorker-Agent-Token") in platform.agent_tokens
                status, following = self._claim(0) if asks else (204, {})
                if status == 204:
                    return 200, {"run": {"id": run.claim["run"]["id"]}}
                platform.handed_over.append(following["run"]["id"])
                return 200, {"run": {"id": run.claim["run"]["id"]}, "next": following}
        return 404, {"error": "Resource not found"}

    def _ask(self, body: Json) -> tuple[int, Json]:
        for question in self.platform.questions.values():
            if question["question"] == body["question"]:
                return 200, {"question": question}
        new = {"id": f"q-{len(self.platform.questions) + 1}", "context": None, "options": None, "status": "open",
               "response": None, **body}  # fmt: skip
        self.platform.questions[new["id"]] = new
        return 201, {"question": new}


@contextmanager
def running_platform() -> Iterator[Platform]:
    platform = Platform()
    platform.start()
    try:
        yield platform
    finally:
        platform.stop()


def steps(*lines: str) -> str:
    """A task's description with these lines as its block of steps."""
    return "Please do this.\n\n```steps\n" + "\n".join(lines) + "\n```\n"


def ended(run: PlatformRun) -> dict[str, str]:
    """The report with which the agent ends the run; waits for it."""
    report = eventually(lambda: run.finish, f"the run is reported; its log: {run.log}")
    assert isinstance(report, dict)
    return report


def head(repository: Path, branch: str = "task-1") -> str:
    return git("rev-parse", f"refs/heads/{branch}", cwd=repository)
