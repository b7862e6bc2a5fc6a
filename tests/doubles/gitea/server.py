"""The double as a server: real HTTP on a port of its own, git by git's own backend, and faults by script."""

from __future__ import annotations

import collections
import json
import os
import re
import socket
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from werkzeug import Request, Response
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.doubles.gitea import pulls, statuses
from tests.doubles.gitea.access import Access
from tests.doubles.gitea.api import Call, answer
from tests.doubles.gitea.contract import Contract, describe
from tests.doubles.gitea.model import Model, Repo, User
from tests.long_waits import LONG_WAIT_SECONDS
from tests.ports import free_port

_GIT = re.compile(r"/(?P<owner>[^/]+)/(?P<name>[^/]+)\.git/(?P<service>info/refs|git-upload-pack|git-receive-pack)")
_NO_COMMIT = "0" * 40
_TOKEN = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Fault:
    """What goes wrong with the nth request whose `METHOD /path` the pattern `match` is found in.

    do: 500, 409, page (a proxy's, of HTML, with status 200), hang (no answer at all), reset (the connection is cut),
    apply_then_500 and apply_then_hang (it takes effect, and the answer is lost).
    """

    match: str
    do: str
    nth: int = 1
    seen: int = 0

    @property
    def has_struck(self) -> bool:
        return self.seen >= self.nth


class GiteaDouble:
    """A Gitea of this version. effects counts what was done, by `METHOD /path`; violations is to stay empty.

    `push` counts as an effect only when a ref moved.
    """

    def __init__(self, root: Path, *, version: str = "1.26.2", port: int = 0) -> None:
        self.update_to(version)
        self.faults: list[Fault] = []
        self.effects: collections.Counter[str] = collections.Counter()
        self.violations: list[str] = []
        self.access = Access()
        self.model = Model(root)
        self.admin = self.model.add_user("platform", "admin-password", token=_TOKEN, is_admin=True)
        self.token = _TOKEN
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._server = make_server("127.0.0.1", port or free_port(), self._serve, threaded=True, request_handler=_Quiet)
        self.url = self.model.root_url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def update_to(self, version: str) -> None:
        """Be of this version from now on, with all that there is."""
        self.version = version
        number = tuple(int(part) for part in version.split("+")[0].split("-")[0].split("."))
        self._number = (number[0], number[1], number[2])
        self.document = describe(self._number)
        self._contract = Contract(self.document)

    def close(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def repo(self, owner: str, name: str) -> Repo:
        return self.model.repos[owner, name]

    def person(self, login: str, *, writes: tuple[str, str]) -> User:
        """A person who may write this repository (owner, name)."""
        user = self.model.add_user(login, f"{login}-password")
        self.repo(*writes).collaborators[login] = "write"
        return user

    def as_person(self, user: User, body: dict[str, Any] | None = None) -> Call:
        """What a person does in the browser, for the functions of `pulls`."""
        return Call(self.model, user, body or {}, {}, self._number)

    def comment(self, user: User, repo: Repo, pull: int, body: str) -> None:
        pulls.create_comment(self.as_person(user, {"body": body}), repo, str(pull))

    def set_status(self, repo: Repo, sha: str, context: str, state: str, *, by: User | None, **about: str) -> None:
        """by None: Actions. about: description, target_url."""
        statuses.set_status(self.model, repo, sha, context, state, by=by, **about)

    def run_job(self, repo: Repo, sha: str, workflow: str, name: str, status: str) -> None:
        statuses.run_job(self.model, repo, sha, workflow, name, status)

    # One request

    def _serve(self, environ: dict[str, Any], start: Any) -> Any:
        request = Request(environ)
        raw = environ["REQUEST_URI"].partition("?")[0]
        fault = self._fault(f"{request.method} {raw}")
        what = fault.do if fault else ""
        if what in {"500", "409"}:
            return Response(json.dumps({"message": "by script"}), int(what))(environ, start)
        if what == "page":
            return Response("<html>Down for maintenance</html>", content_type="text/html")(environ, start)
        if what in {"hang", "reset"}:
            return self._cut(environ, is_held=what == "hang")
        reply = self._reply(request, raw)
        if what == "apply_then_hang":
            return self._cut(environ, is_held=True)
        if what == "apply_then_500":
            reply = Response(json.dumps({"message": "by script"}), 500)
        return reply(environ, start)

    def _fault(self, line: str) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if not fault.has_struck and re.search(fault.match, line):
                    fault.seen += 1
                    if fault.has_struck:
                        return fault
        return None

    def _cut(self, environ: dict[str, Any], *, is_held: bool) -> list[bytes]:
        if is_held:
            self._ended.wait(30)
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        raise ConnectionResetError

    def _reply(self, request: Request, raw: str) -> Response:
        found = _GIT.fullmatch(unquote(raw))
        if found is not None:
            return self._git(request, found["owner"], found["name"], found["service"])
        if raw == "/swagger.v1.json":
            return _json(200, self.document)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        body = _body_of(request)
        with self._lock:
            user = self.model.user_by_token(token) if scheme == "token" else self._person(request)
            path = raw.removeprefix("/api/v1")
            if path == "/version":
                status, said = 200, {"version": self.version}
            elif user is None:
                # Who may not know of a private repository is told that there is none.
                is_hidden = request.method == "GET" and path.startswith("/repos/")
                status, said = (404, {"message": "Not Found"}) if is_hidden else (401, {"message": "token is required"})
            elif refused := self.access.refusal(request.method or "", unquote(path)):
                status, said = refused
            else:
                call = Call(self.model, user, body or {}, dict(request.args), self._number, scheme.lower() == "basic")
                status, said = answer(call, request.method, path, unquote)
            self.violations += self._contract.violations(
                request.method, raw, query=request.args, body=body, status=status, answer=said
            )
            if request.method != "GET" and status < 300:
                self.effects[f"{request.method} {unquote(path)}"] += 1
        return _json(status, said)

    def _person(self, request: Request) -> User | None:
        """Who says a name and a password."""
        login = request.authorization
        if login is None or login.type != "basic":
            return None
        return self.model.user_by_login(
            login.username or "", login.password or "", takes_passwords=self.access.takes_passwords
        )

    def _git(self, request: Request, owner: str, name: str, service: str) -> Response:
        user = self._person(request)
        repo = self.model.repos.get((owner, name))
        writes = "receive-pack" in service or request.args.get("service") == "git-receive-pack"
        if request.authorization is None and repo is not None and not repo.fields.get("private", True) and not writes:
            return _backend(request, repo, service, "", set())
        if user is None:
            return Response("Unauthorized\n", 401, {"WWW-Authenticate": 'Basic realm="Gitea"'})
        if repo is None or not self.model.may(user, repo, "read"):
            return Response("Not found\n", 404)
        if not self.model.may(user, repo, "write" if writes else "read"):
            return Response("Forbidden\n", 403)
        if service != "git-receive-pack":
            return _backend(request, repo, service, user.login, self.model.owners)
        request.get_data()
        with self._lock:
            # What others push or merge meanwhile is not this push.
            before = repo.refs()
            reply = _backend(request, repo, service, user.login, self.model.owners)
            after = repo.refs()
            if after != before:
                self.effects[f"push {owner}/{name}"] += 1
                for number in repo.pushed():
                    pulls.note_event(self.model, repo, number, "closed", by=user.login)
        return reply


def _body_of(request: Request) -> Any:
    """The JSON that was sent; of a form its files, by their fields: (name, media type, content)."""
    if request.mimetype == "multipart/form-data":
        sent = {field: (file.filename, file.mimetype, file.read()) for field, file in request.files.items()}
        request.close()
        return sent
    content = request.get_data()
    return json.loads(content) if content else None


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 (the base's own name)
        """Nothing: a test's output is the test's."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        double: GiteaDouble = self.server.app.__self__
        return double.access.date or super().date_time_string(timestamp)

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        """That is what some of the faults are for."""


def _json(status: int, body: Any) -> Response:
    return Response("" if body is None else json.dumps(body), status, content_type="application/json")


def _backend(request: Request, repo: Repo, service: str, login: str, owners: set[str]) -> Response:
    """git's own program for smart HTTP, run as a CGI."""
    content = request.get_data()
    variables = {
        "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C",
        "GIT_PROJECT_ROOT": str(repo.path), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": f"/{service}",
        "REMOTE_USER": login, "REMOTE_ADDR": "127.0.0.1", "REQUEST_METHOD": request.method,
        "QUERY_STRING": request.query_string.decode(), "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(content)), "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
        "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""), "PUSHER": login, "RULES": repo.hook_rules(owners),
        "TAG_RULES": json.dumps(list(repo.tag_rules.values())),
    }  # fmt: skip
    done = subprocess.run(
        ["git", "http-backend"], input=content, env=variables, capture_output=True, timeout=LONG_WAIT_SECONDS
    )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    headers = [tuple(line.split(": ", 1)) for line in head.decode().splitlines() if ": " in line]
    status = next((value for key, value in headers if key == "Status"), "200 OK")
    return Response(body, status, [(key, value) for key, value in headers if key != "Status"])


def basic(url: str, login: str, password: str) -> str:
    """The address with a name and a password in it, as a person's git takes it."""
    return url.replace("://", f"://{login}:{password}@", 1)
