"""Serving one repository over git's smart HTTP protocol, by git's own http-backend.

It reads Flask's request and answers with a stream in both directions: a push may be larger than memory, and git may
speak before it has heard all. Who may do what was decided by the caller; here that becomes configuration of the one
child process. What a push brings is checked by the forge's own hook, before a ref moves. Works on plain threads and
under gevent alike.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import structlog
from flask import Response, request

from common.errors import ProviderUnavailable
from common.machine.children import kill_group
from common.machine.git_limits import leash
from common.providers.forge import git
from web.git.push_commands import BadPush, Judge, Push, PushRules, notice_packet, read_push

_SERVICES = ("git-upload-pack", "git-receive-pack")
_CHUNK_BYTES = 64 * 1024
# Commands come before the pack, whose own size git limits with a message that the pusher sees.
_COMMANDS_BYTES = 2**20
_LONGEST_SECONDS = 3600.0
_PARTING_SECONDS = 2.0
_PROTOCOL = re.compile(r"[a-z0-9=.:-]{1,64}")

_log = structlog.get_logger(__name__)


def serve_git(
    repository_path: Path,
    *,
    service_path: str,
    may_write: bool,
    hidden_refs: tuple[str, ...],
    only_ref: str | None,
    user: str,
    max_bytes: int,
    push_check: tuple[tuple[str, str], dict[str, str]],
    judge: Judge | None = None,
) -> Response:
    """Answer the present request for `service_path` (what follows the repository in its address).

    hidden_refs: fully qualified refs, or prefixes of such, that nobody may push here. only_ref: the one fully qualified
    ref that may be pushed; None is every branch and tag not hidden. user: who it is, for git. max_bytes: the largest
    request. push_check: the configuration and environment that have git check a push (BareForge.push_check). judge:
    asked, before git is started, what a push of these commands may do. 404 for anything but the smart protocol, 403 for
    a push where may_write is False, 405 and 413 as usual.
    Raises ProviderUnavailable if git can't be started.
    """
    service = _service(service_path)
    if service is None:
        return _refusal(404, "There is nothing here. Clone this repository with git.")
    wanted_method = "GET" if service_path == "info/refs" else "POST"
    if request.method != wanted_method:
        return _refusal(405, f"This address takes {wanted_method} only.", Allow=wanted_method)
    if service == "git-receive-pack" and not may_write:
        return _refusal(403, "You may read this repository, but not push to it.")
    encoding = request.headers.get("Content-Encoding", "").lower()
    if encoding not in {"", "gzip", "x-gzip", "identity"}:
        return _refusal(415, "Send the body plain or as gzip.")
    limit = max_bytes + _COMMANDS_BYTES
    if request.content_length is not None and request.content_length > limit:
        return _refusal(413, f"A push may have at most {max_bytes} bytes.")
    # The application's limit is for JSON; this one is the caller's. Twice, to hear out who sends too much in chunks.
    request.max_content_length = 2 * limit
    push, rules = None, PushRules()
    if service_path == "git-receive-pack" and judge is not None:
        try:
            push = read_push(request.stream, is_compressed=encoding in {"gzip", "x-gzip"})
        except BadPush as error:
            return _refusal(400, str(error))
        rules = judge(push.commands)
    hidden_refs = (*hidden_refs, *rules.hidden_refs)
    config = _config(service, may_write=may_write, hidden_refs=hidden_refs, only_ref=only_ref, max_bytes=max_bytes)
    config.append(("receive.denyNonFastForwards", "true" if rules.is_forward_only else "false"))
    checked_by, check_variables = push_check
    if service == "git-receive-pack":
        config.append(checked_by)
    variables = git.environment(config) | check_variables | _cgi(repository_path / service_path, service, user)
    if push is None:
        return _Exchange(variables, request.stream, limit).respond()
    variables.pop("HTTP_CONTENT_ENCODING", None)
    return _with_notice(_Exchange(variables, push.body, limit).respond(), push, rules)


def _with_notice(reply: Response, push: Push, rules: PushRules) -> Response:
    """The pusher is shown the notice before git's own answer."""
    if rules.notice is not None and push.has_side_band and reply.status_code == 200:
        reply.response = itertools.chain([notice_packet(rules.notice)], reply.iter_encoded())
    return reply


def _service(service_path: str) -> str | None:
    """The git service that is asked for, None for anything that isn't one."""
    if service_path == "info/refs":
        asked = request.args.getlist("service")
        return asked[0] if len(asked) == 1 and asked[0] in _SERVICES else None
    return service_path if service_path in _SERVICES else None


def _refusal(status: int, message: str, **headers: str) -> Response:
    return Response(message + "\n", status, headers, content_type="text/plain; charset=utf-8")


def _config(
    service: str, *, may_write: bool, hidden_refs: tuple[str, ...], only_ref: str | None, max_bytes: int
) -> list[tuple[str, str]]:
    config = [("http.receivepack", "true" if may_write else "false"), ("http.getanyfile", "false")]
    if service == "git-receive-pack":
        # The last entry that fits a ref decides, so the narrower rules come after the wider.
        shown = ("!refs/heads/", "!refs/tags/") if only_ref is None else (f"!{only_ref}",)
        hidden = ("refs/", *shown, *hidden_refs)
        config += [("receive.hideRefs", rule) for rule in hidden]
        config += [("receive.maxInputSize", str(max_bytes)), ("receive.denyDeletes", "true")]
    return config


def _cgi(translated_path: Path, service: str, user: str) -> dict[str, str]:
    variables = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_TRANSLATED": str(translated_path),
        "QUERY_STRING": f"service={service}" if request.method == "GET" else "",
        "REMOTE_USER": user,
        "REMOTE_ADDR": request.remote_addr or "",
        "REQUEST_METHOD": request.method,
        "CONTENT_TYPE": request.content_type or "",
        "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
    }
    protocol = request.headers.get("Git-Protocol", "")
    if _PROTOCOL.fullmatch(protocol):
        variables["GIT_PROTOCOL"] = protocol
    # No CONTENT_LENGTH, though it is known: where the body ends early, http-backend would read its end over and over,
    # burning a core for good (git 2.47, pipe_fixed_length). Without one it takes the end of its input for the end.
    return {name: value for name, value in variables.items() if "\0" not in value}


@functools.cache
def _backend() -> str:
    return os.path.join(git.run(None, "--exec-path").line, "git-http-backend")


class _Exchange:
    """One http-backend process between the request's body and the response's.

    A thread of its own feeds the request to the child, so that neither side waits for the other with a full pipe.
    Iterating yields the response; close() ends it all at any point, and may be called again.
    """

    def __init__(self, variables: dict[str, str], body: IO[bytes], limit: int) -> None:
        try:
            self._child = subprocess.Popen(
                [*leash(), _backend()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=variables,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise ProviderUnavailable(f"git http-backend can't be started: {error.strerror}") from error
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._stdin, self._stdout = self._child.stdin, self._child.stdout
        self._body, self._limit = body, limit
        self._is_closed = False
        self._timer = threading.Timer(_LONGEST_SECONDS, git.kill, [self._child])
        self._timer.daemon = True
        self._timer.start()
        self._feeder = threading.Thread(target=self._feed, name="git-http-feeder", daemon=True)
        self._feeder.start()

    def respond(self) -> Response:
        """The response with the child's own status and headers; its body is read as it is sent."""
        status, headers = 200, []
        try:
            while line := self._stdout.readline().rstrip(b"\r\n"):
                name, _, value = line.decode("latin-1").partition(": ")
                if name.lower() == "status":
                    status = int(value.split()[0])
                else:
                    headers.append((name, value))
        except BaseException:
            self.close()
            raise
        if not headers:
            self.close()
            raise ProviderUnavailable("git http-backend ended without an answer")
        response = Response(self, status, headers)
        # Also where the body is never begun.
        response.call_on_close(self.close)
        return response

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._read():
            yield chunk
        # The last byte is only sent when the request was heard to its end: a server that closes a connection on which
        # the other side still speaks takes the answer back.
        self._feeder.join(_LONGEST_SECONDS)
        self.close()

    def _read(self) -> bytes:
        # One read of the pipe: what git says (progress) goes out when it says it.
        return self._stdout.read1(_CHUNK_BYTES)  # type: ignore[attr-defined, no-any-return]

    def _feed(self) -> None:
        """Copy the body to the child. What the child doesn't want to hear is read all the same, within the limit."""
        passed, is_heard = 0, True
        # The client went away, or sent more than it may: the child sees an end, and says so to whoever still listens.
        with contextlib.suppress(Exception):
            while chunk := self._body.read(_CHUNK_BYTES):
                passed += len(chunk)
                if passed > self._limit and is_heard:
                    is_heard = False
                    self._close_stdin()
                if is_heard:
                    is_heard = self._tell(chunk)
        self._close_stdin()

    def _tell(self, chunk: bytes) -> bool:
        try:
            self._stdin.write(chunk)
        except (OSError, ValueError):
            return False
        return True

    def _close_stdin(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stdin.close()

    def close(self) -> None:
        """The child is gone and reaped. One that still runs is asked first, so that it can clear up what it began."""
        if self._is_closed:
            return
        self._is_closed = True
        self._timer.cancel()
        if self._child.poll() is None:
            kill_group(self._child.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(_PARTING_SECONDS)
        git.kill(self._child)
        self._close_stdin()
        self._stdout.close()
        if self._child.returncode > 0:
            _log.warning("git http-backend failed", exit_code=self._child.returncode)
