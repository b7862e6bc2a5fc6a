"""The hub in a gunicorn of its own, people who may listen, events that are really committed, and a client."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import uuid4

import jwt
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from common.database import engines
from common.events.catalogue import TaskCreated
from common.services.people import accounts
from common.services.people.accounts import OpenLogin
from common.services.people.login_tokens import AUDIENCE, ISSUER, signing_key
from common.services.projects import projects
from common.services.requests.access import Caller
from common.services.tasks import tasks
from common.settings import settings
from common.transaction import Transaction, transactional
from common.values.names import new_id
from common.values.states import Role
from tests import job_messages
from tests.long_waits import LONG_WAIT_SECONDS
from tests.servers import ROOT

PASSWORD = "correct horse"


@contextlib.contextmanager
def instance(database_url: str, redis_url: str, data_dir: Path) -> Iterator[None]:
    """This process, and what it starts, belong to a new instance on these servers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIWORKER_DATABASE_URL", database_url)
        patch.setenv("AIWORKER_REDIS_URL", redis_url)
        patch.setenv("AIWORKER_DATA_DIR", str(data_dir))
        patch.setenv("AIWORKER_INSTANCE", f"t{uuid4().hex[:12]}")
        settings.cache_clear()
        try:
            yield
        finally:
            job_messages.settle()
            engines.dispose_engines()
            settings.cache_clear()


@dataclass
class Server:
    """A gunicorn with the hub."""

    port: int
    process: subprocess.Popen[bytes]
    log_path: Path

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LONG_WAIT_SECONDS)


@contextlib.contextmanager
def running_server(data_dir: Path) -> Iterator[Server]:
    """A server of this process's instance. It inherits a listening socket, so that no port can be lost to others."""
    log_path = data_dir / "gunicorn.log"
    command = [sys.executable, "-m", "gunicorn", "--config", "web/gunicorn.conf.py", "tests.web.websocket.feed_app:app"]
    with socket.create_server(("127.0.0.1", 0)) as listener, log_path.open("wb") as log:
        descriptor = listener.fileno()
        process = subprocess.Popen(
            [*command, "--bind", f"fd://{descriptor}"],
            cwd=ROOT,
            pass_fds=[descriptor],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONWARNINGS": ""},
        )
        port = listener.getsockname()[1]
    try:
        yield Server(port, process, log_path)
    finally:
        process.kill()
        process.wait()


class Client:
    """A client's side of one socket, by the `websockets` library. Messages are dicts."""

    def __init__(self, url: str, token: str | None = None, **options: Any) -> None:
        self._url, self._options = url, options
        self._token = token
        self.socket: ClientConnection

    def __enter__(self) -> Client:
        # Not before: `connect` connects when it is called.
        self._connecting = connect(self._url, open_timeout=LONG_WAIT_SECONDS, proxy=None, **self._options)
        self.socket = self._connecting.__enter__()
        if self._token is not None:
            assert self.auth(self._token)["event"] == "auth:ok"
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._connecting.__exit__(_type, _error, _trace)

    def send(self, event: str, **body: Any) -> None:
        self.socket.send(json.dumps({"event": event, "data": body}))

    def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.socket.recv(LONG_WAIT_SECONDS))
        return message

    def ask(self, event: str, **body: Any) -> dict[str, Any]:
        self.send(event, **body)
        return self.receive()

    def auth(self, token: str) -> dict[str, Any]:
        return self.ask("auth", token=token)

    def receive_until(self, event: str) -> list[dict[str, Any]]:
        """All messages up to the first of this name, which is the last of them."""
        messages = [self.receive()]
        while messages[-1]["event"] != event:
            messages.append(self.receive())
        return messages

    def seqs(self, project_id: str, last: int) -> list[int]:
        """The seq of every event of the project, up to this one."""
        seen: list[int] = []
        while not seen or seen[-1] < last:
            message = self.receive()
            if message.get("projectId") == project_id and "seq" in message:
                seen.append(message["seq"])
        return seen

    def close_code(self) -> int:
        """Read to the end; the code that the server closed with."""
        try:
            while True:
                self.socket.recv(LONG_WAIT_SECONDS)
        except ConnectionClosed as closed:
            return 1006 if closed.rcvd is None else closed.rcvd.code


@dataclass(frozen=True)
class Person:
    """A user with an open login."""

    caller: Caller
    token: str
    login: OpenLogin


def new_admin() -> Person:
    """The first user of an instance."""
    os.environ["AIWORKER_ADMIN_PASSWORD"] = PASSWORD
    settings.cache_clear()
    try:
        accounts.ensure_first_admin()
    finally:
        del os.environ["AIWORKER_ADMIN_PASSWORD"]
        settings.cache_clear()
    return log_in("admin")


def new_person(admin: Person, role: Role) -> Person:
    user = accounts.create_user(f"u{uuid4().hex[:10]}", PASSWORD, role, by=admin.caller)
    return log_in(user.username)


def log_in(username: str) -> Person:
    login = accounts.log_in(username, PASSWORD)
    caller = Caller(login.user.id, username, Role(login.user.role), login.login_id)
    return Person(caller, access_token(login), login)


def access_token(login: OpenLogin, *, seconds: float = 600) -> str:
    now = int(time.time())
    claims = {
        "sub": login.user.id, "sid": login.login_id, "jti": new_id(), "epoch": login.epoch, "type": "access",
        "iss": ISSUER, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + seconds,
    }  # fmt: skip
    return jwt.encode(claims, signing_key(), algorithm="HS256")


def new_project(by: Person, *, restricted: bool = False) -> str:
    values = {"name": f"Project {uuid4().hex[:10]}", "is_restricted": restricted}
    return projects.create_project(values, by=by.caller).project.id


def new_task(by: Person, project_id: str) -> str:
    return tasks.create_task(tasks.NewTask(project_id, "A task"), by=by.caller).id


@transactional
def write_events(tx: Transaction, feed_id: str, count: int = 1, *, size: int = 20) -> None:
    """Commit some events of the feed, all in one transaction."""
    for _number in range(count):
        tx.record(TaskCreated(feed=feed_id, task_id=new_id(), project_id=feed_id, title="x" * size))


@transactional
def tell_task(tx: Transaction, project_id: str, task_id: str, event: str, message: str) -> None:
    tx.notify(project_id, event, {"taskId": task_id, "message": message}, task_id=task_id)


@transactional
def tell_project(tx: Transaction, project_id: str, event: str, message: str) -> None:
    tx.notify(project_id, event, {"message": message})


@transactional
def notify_person(tx: Transaction, user_id: str, event: str, message: str) -> None:
    tx.notify_person(user_id, event, {"message": message})


@transactional
def wake(tx: Transaction, key: str) -> None:
    tx.wake(key)


@contextlib.contextmanager
def without_stream() -> Iterator[None]:
    """What is committed inside is not published, as if the process had died between commit and publishing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIWORKER_INSTANCE", f"other{uuid4().hex[:8]}")
        settings.cache_clear()
        try:
            yield
        finally:
            settings.cache_clear()
