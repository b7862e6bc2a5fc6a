"""Serves one repository over git's smart HTTP protocol, with git's own http-backend.

Request and reply are streamed at the same time: a push may be larger than memory, and git may answer before it has read
everything. The caller decides who may do what; this module turns that into the configuration of the child process. The
forge's hook checks the content of a push before a ref moves. Works with threads and with gevent.
"""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, cast

import structlog
from flask import Response, request

from common.errors import ProviderUnavailable
from common.machine.git.limits import limits_prefix
from common.machine.processes.children import kill_group
from common.providers.forge import git
from web.git.push_commands import BadPush, Push, PushRules, RulesOfPush, notice_packet, read_push

_SERVICES = ("git-upload-pack", "git-receive-pack")
_CHUNK_BYTES = 64 * 1024
# Room for the commands before the pack; git limits the pack itself, with a message that the pusher sees.
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
    only_refs: tuple[str, ...] | None,
    user: str,
    max_bytes: int,
    push_check: tuple[tuple[str, str], dict[str, str]],
    judge: RulesOfPush | None = None,
    is_still_allowed: Callable[[], bool] | None = None,
) -> Response:
    """Answer the current request for `service_path`, the part of its address after the repository.

    hidden_refs: fully qualified refs, or their prefixes, that nobody may push. only_refs: the only fully qualified refs
    that may be pushed; None for every branch and tag that is not hidden. user: the name passed to git. max_bytes: the
    largest push. push_check: configuration and environment with which git checks a push (BareForge.push_check). judge:
    called with a push's commands before git is started; returns what the push may do. is_still_allowed: called when all
    of a push has arrived, in another thread; if it is False or raises, the push is cut off. The reply is 404 outside
    the smart protocol, 403 for a push if may_write is False, 405 and 413 as usual.
    Raises ProviderUnavailable if git can't be started.
    """
    service = _service(service_path)
    if service is None:
        return refusal(404, "There is nothing here. Clone this repository with git.")
    wanted_method = "GET" if service_path == "info/refs" else "POST"
    if request.method != wanted_method:
        return refusal(405, f"This address takes {wanted_method} only.", {"Allow": wanted_method})
    if service == "git-receive-pack" and not may_write:
        return refusal(403, "You may read this repository, but not push to it.")
    encoding = request.headers.get("Content-Encoding", "").lower()
    if encoding not in {"", "gzip", "x-gzip", "identity"}:
        return refusal(415, "Send the body plain or as gzip.")
    limit = max_bytes + _COMMANDS_BYTES
    if request.content_length is not None and request.content_length > limit:
        return refusal(413, f"A push may have at most {max_bytes} bytes.")
    # Replaces the application's limit for JSON. Twice the limit, to read a chunked body that is too large to its end.
    request.max_content_length = 2 * limit
    stream = cast("IO[bytes]", _Yielding(request.stream))
    push, rules = None, PushRules()
    if service_path == "git-receive-pack" and judge is not None:
        try:
            push = read_push(stream, is_compressed=encoding in {"gzip", "x-gzip"})
        except BadPush as error:
            return refusal(400, str(error))
        rules = judge(push.commands)
    hidden_refs = (*hidden_refs, *rules.hidden_refs)
    config = _config(service, may_write=may_write, hidden_refs=hidden_refs, only_refs=only_refs, max_bytes=max_bytes)
    config.append(("receive.denyNonFastForwards", "true" if rules.is_forward_only else "false"))
    checked_by, check_variables = push_check
    if service == "git-receive-pack":
        config.append(checked_by)
    variables = git.environment(config) | check_variables | _cgi(repository_path / service_path, service, user)
    if push is None:
        return _Exchange(variables, stream, stream, limit).respond()
    variables.pop("HTTP_CONTENT_ENCODING", None)
    return _with_notice(_Exchange(variables, push.body, stream, limit, is_still_allowed).respond(), push, rules)


def _with_notice(reply: Response, push: Push, rules: PushRules) -> Response:
    """Show the pusher the notice before git's own answer."""
    if rules.notice is not None and push.has_side_band and reply.status_code == 200:
        reply.response = itertools.chain([notice_packet(rules.notice)], reply.iter_encoded())
    return reply


def _service(service_path: str) -> str | None:
    """The requested git service; None if there is none of that name."""
    if service_path == "info/refs":
        asked = request.args.getlist("service")
        return asked[0] if len(asked) == 1 and asked[0] in _SERVICES else None
    return service_path if service_path in _SERVICES else None


def refusal(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """A reply for a git client, which shows the message to its user."""
    return Response(message + "\n", status, headers, content_type="text/plain; charset=utf-8")


def _config(
    service: str, *, may_write: bool, hidden_refs: tuple[str, ...], only_refs: tuple[str, ...] | None, max_bytes: int
) -> list[tuple[str, str]]:
    config = [("http.receivepack", "true" if may_write else "false"), ("http.getanyfile", "false")]
    if service == "git-receive-pack":
        # The last matching entry decides, so the narrower rules come after the wider ones.
        shown = ("!refs/heads/", "!refs/tags/") if only_refs is None else tuple(f"!{ref}" for ref in only_refs)
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
    # Without CONTENT_LENGTH, http-backend reads to the end of its input. With it, a body that ends early makes it loop
    # at full load for ever (git 2.47, pipe_fixed_length).
    return {name: value for name, value in variables.items() if "\0" not in value}


@functools.cache
def _backend() -> str:
    return os.path.join(git.run(None, "--exec-path").line, "git-http-backend")


class _Yielding(io.RawIOBase):
    """The request's body. Lets other requests go on at each read, which gevent does not while there is data to read."""

    def __init__(self, body: IO[bytes]) -> None:
        super().__init__()
        self._body = body

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        time.sleep(0)
        return self._body.read(size)


class _Exchange:
    """One http-backend process that reads the request's body and writes the response's body.

    body: what git reads. received: the body as the client sends it, which may be compressed. is_still_allowed: git
    gets the last part of the body only if this returns True then.

    A thread feeds the request to the child, so that full pipes can't block both sides. Iterating yields the response.
    close() ends the child at any point and may be called again.
    """

    def __init__(
        self,
        variables: dict[str, str],
        body: IO[bytes],
        received: IO[bytes],
        limit: int,
        is_still_allowed: Callable[[], bool] | None = None,
    ) -> None:
        try:
            self._child = subprocess.Popen(
                [*limits_prefix(), _backend()],
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
        self._body, self._received, self._limit = body, received, limit
        self._is_still_allowed = is_still_allowed
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
        # Called even if the body is never read.
        response.call_on_close(self.close)
        return response

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._read():
            yield chunk
        # End the response after the request was read to its end: closing a connection while the client still sends
        # can discard the response.
        self._feeder.join(_LONGEST_SECONDS)
        self.close()

    def _read(self) -> bytes:
        # One read of the pipe, so that git's progress messages are sent at once.
        return self._stdout.read1(_CHUNK_BYTES)  # type: ignore[attr-defined, no-any-return]

    def _feed(self) -> None:
        """Copy the body to the child, up to the limit. Then read what the client still sends."""
        passed, last = 0, b""
        # If the client disconnects or exceeds the limit, the child sees the end of its input and reports it.
        with contextlib.suppress(Exception):
            while chunk := self._body.read(_CHUNK_BYTES):
                passed += len(chunk)
                # Git moves a ref as soon as it has the whole pack, so the last part waits.
                if not self._write(last) or passed > self._limit:
                    break
                last = chunk
                time.sleep(0)
            else:
                if self._is_still_allowed is None or self._is_still_allowed():
                    self._write(last)
        self._close_stdin()
        # As it was sent: a small body may unpack to thousands of times its size.
        with contextlib.suppress(Exception):
            while self._received.read(_CHUNK_BYTES):
                pass

    def _write(self, chunk: bytes) -> bool:
        try:
            self._stdin.write(chunk)
        except (OSError, ValueError):
            return False
        return True

    def _close_stdin(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stdin.close()

    def close(self) -> None:
        """End and reap the child. One that still runs gets SIGTERM first, so that it can clean up."""
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
