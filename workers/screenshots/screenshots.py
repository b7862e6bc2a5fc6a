"""Takes a screenshot of a page that nobody trusts, with Chromium in a sandbox that reaches this page's host alone.

The page may be an agent's work, written to harm the browser. The sandbox shows no data of the platform, has a network
of its own whose one forwarded port leads to the host and port of the page, and ends after START_SECONDS and
MOST_SECONDS.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from common.machine.homes import user_home
from common.machine.locks import locked
from common.machine.processes.children import base_environment, describe_exit, kill_group
from common.machine.waiting import Deadline
from workers.sandbox.limits import Bounds, ForwardedPort, SandboxLimits
from workers.sandbox.sandboxes import Enclosed, Sandboxes
from workers.sandbox.system_folders import is_system
from workers.screenshots.devtools import BrowserGone, BrowserTimeout, DevTools, Message, part, text

WIDTH, HEIGHT = 1280, 800
START_SECONDS = 60.0
"""How long the browser may take to start, which on a busy machine is no fault of the page."""
MOST_SECONDS = 20.0
"""The most that one picture takes once the browser has started."""
LOAD_SECONDS = 10.0
"""How long a page may load once its server has answered; then it is pictured as it is."""
SETTLE_SECONDS = 1.5
"""What a loaded page gets to draw what it asks its server for."""
MOST_BYTES = 2**20
_BOUNDS = Bounds(memory_bytes=2**30, processes=1024, file_bytes=2**26)
_FORWARDED_PORT = 18080
"""Inside, on loopback: leads to the page's host."""
_END_SECONDS = 2.0
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">8sI4sII")
_WITH_PIPES = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
"""A Python program that becomes its command, with two of its descriptors where Chromium expects its pipes."""
_FIRST_DESCRIPTOR = 10


class NoScreenshot(Exception):
    """There is no picture. The message is a sentence that says why."""


@dataclass(frozen=True)
class ScreenshotBrowser:
    """program: of the browser. directory: a private folder, made if missing; one picture is taken at a time there.

    hidden: folders that the browser never sees.
    """

    program: Path
    directory: Path
    hidden: tuple[Path, ...] = ()

    @contextlib.contextmanager
    def ready(self) -> Iterator[RunningBrowser]:
        """What takes pictures. Raises BlockingIOError if another one is at work in the directory."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self.directory / "camera.lock", wait=False):
            sandboxes = Sandboxes(self.directory / "sandboxes", hidden=self.hidden)
            # What a killed worker left is in nobody's way, but nobody else removes it.
            sandboxes.clear()
            try:
                yield RunningBrowser(self.program, self.directory, sandboxes)
            finally:
                sandboxes.close()


@dataclass(frozen=True)
class RunningBrowser:
    program: Path
    directory: Path
    sandboxes: Sandboxes

    def take(self, url: str) -> bytes:
        """Return a PNG of WIDTH × HEIGHT, at most MOST_BYTES, of the page at the http(s) address.

        Raises NoScreenshot.
        """
        with tempfile.TemporaryDirectory(prefix="picture-", dir=self.directory) as made, _Pipes() as pipes:
            home = Path(made)
            argv = [
                sys.executable,
                "-I",
                "-S",
                "-c",
                _WITH_PIPES,
                *map(str, pipes.inside),
                *_command(self.program, url),
            ]
            environ = {**base_environment(home), "HOME": "/tmp"}  # noqa: S108 (the sandbox's own)
            try:
                enclosed = self.sandboxes.enclose(
                    argv, cwd=home, environ=environ, sandbox_limits=self._limits(home, url)
                )
            except (OSError, ValueError) as error:
                raise NoScreenshot(f"The browser could not be confined: {error}.") from error
            with contextlib.closing(enclosed):
                if not enclosed.is_confined:
                    raise NoScreenshot("The browser can't be confined on this machine.")
                return _checked(_pictured(enclosed, pipes, url))

    def _limits(self, home: Path, url: str) -> SandboxLimits:
        host, port = _place(url)
        folders = {path.parent for path in (self.program, self.program.resolve()) if not is_system(path)}
        own = user_home()
        shown = tuple(folder for folder in sorted(folders) if own is None or not own.is_relative_to(folder))
        return SandboxLimits(
            home=home,
            readable=shown,
            forwarded_ports=(ForwardedPort(host, port, inner_port=_FORWARDED_PORT),),
            bounds=_BOUNDS,
        )


class _Pipes:
    """Two pipes to a child. inside: what the child reads from and writes to. commands, answers: the other ends."""

    def __enter__(self) -> Self:
        ends = [_moved(end) for _ in range(2) for end in os.pipe()]
        self.inside, (self.answers, self.commands) = (ends[0], ends[3]), (ends[2], ends[1])
        self._open = ends
        return self

    def __exit__(self, *_about: object) -> None:
        self._close(self._open)

    def start(self) -> None:
        """The child has its ends: from now on its end is the end of the answers."""
        self._close(self.inside)
        self._open = [end for end in self._open if end not in self.inside]

    @staticmethod
    def _close(ends: Sequence[int]) -> None:
        for end in ends:
            os.close(end)


def _moved(descriptor: int) -> int:
    """The same with another number, beyond those that Chromium expects its pipes at."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST_DESCRIPTOR)
    finally:
        os.close(descriptor)


def _place(url: str) -> tuple[str, int]:
    """The host and port of an http(s) address. Raises NoScreenshot for another one."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise NoScreenshot(f"{url[:200]} is not an http or https address.")
    return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _command(program: Path, url: str) -> list[str]:
    host, port = _place(url)
    named = f"[{host}]" if ":" in host else host
    rules = f"MAP {named}:{port} 127.0.0.1:{_FORWARDED_PORT}, MAP * ~NOTFOUND"
    return [
        *(str(program), "--headless", "--no-first-run", "--disable-gpu", "--disable-extensions", "--hide-scrollbars"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-breakpad"),
        # Its data lies in memory, which is bounded.
        *("--user-data-dir=/tmp/profile", "--deny-permission-prompts", "--no-proxy-server"),
        *(f"--host-resolver-rules={rules}", "--remote-debugging-pipe", "about:blank"),
    ]


def _pictured(enclosed: Enclosed, pipes: _Pipes, url: str) -> str:
    """Have the browser show the page, and return the picture as it gives it, in base64. Raises NoScreenshot."""
    process = _start(enclosed, pipes)
    try:
        enclosed.begin(process.pid)
        pipes.start()
        return _PageSession(pipes, url).picture()
    except BrowserGone as error:
        raise NoScreenshot(_why_gone(enclosed, process)) from error
    finally:
        kill_group(process.pid)
        process.wait()


def _start(enclosed: Enclosed, pipes: _Pipes) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            enclosed.argv, cwd=enclosed.cwd, env=enclosed.environ, pass_fds=(*enclosed.pass_fds, *pipes.inside),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise NoScreenshot(f"The browser can't be started: {error.strerror}.") from error


def _why_gone(enclosed: Enclosed, process: subprocess.Popen[bytes]) -> str:
    with contextlib.suppress(subprocess.TimeoutExpired):
        status = enclosed.exit_status(process.wait(_END_SECONDS))
        if enclosed.failure is not None:
            return f"The browser could not be confined: {enclosed.failure}."
        if enclosed.broken_bound is None:
            return f"The browser {describe_exit(status)}."
    if enclosed.broken_bound is not None:
        return f"The page needs too much ({enclosed.broken_bound})."
    return "The browser said what no browser says."


class _PageSession:
    """One page being pictured."""

    def __init__(self, pipes: _Pipes, url: str) -> None:
        self._tools = DevTools(pipes.commands, pipes.answers, self._receive)
        self._url, self._deadline = url, Deadline(START_SECONDS)
        self._session = ""
        self._is_loaded = False
        self._unreachable = ""

    def picture(self) -> str:
        """The picture as the browser gives it, in base64. Raises NoScreenshot and BrowserGone."""
        try:
            self._begin()
        except BrowserTimeout as error:
            raise NoScreenshot(f"The browser did not start within {START_SECONDS:g} s.") from error
        self._deadline = Deadline(MOST_SECONDS)
        try:
            return self._draw()
        except BrowserTimeout as error:
            raise NoScreenshot(f"The page was not drawn within {MOST_SECONDS:g} s.") from error

    def _begin(self) -> None:
        target = self._ask("Target.createTarget", url="about:blank")
        attached = self._ask("Target.attachToTarget", targetId=text(target, "targetId"), flatten=True)
        self._ask("Browser.setDownloadBehavior", behavior="deny")
        self._session = text(attached, "sessionId")

    def _draw(self) -> str:
        size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        self._ask("Emulation.setDeviceMetricsOverride", **size)
        self._ask("Page.enable")
        self._is_loaded = False
        opened = self._ask("Page.navigate", url=self._url)
        if reason := text(opened, "errorText"):
            raise NoScreenshot(f"The page can't be shown: {reason[:100]}.")
        self._tools.wait(lambda: self._is_loaded, self._bounded(LOAD_SECONDS))
        self._tools.wait(lambda: False, self._bounded(SETTLE_SECONDS))
        taken = self._ask("Page.captureScreenshot", format="png")
        if self._unreachable:
            raise NoScreenshot(f"The page leads to {self._unreachable[:200]}, which is out of its reach.")
        return text(taken, "data")

    def _ask(self, method: str, **parameters: object) -> Message:
        return self._tools.call(method, self._deadline, self._session or None, **parameters)

    def _bounded(self, seconds: float) -> Deadline:
        return Deadline(min(seconds, self._deadline.left_seconds))

    def _receive(self, message: Message) -> None:
        event, about = text(message, "method"), part(message, "params")
        if event == "Page.javascriptDialogOpening":
            # Whoever is asked whether to leave, leaves; to everything else the answer is no.
            self._tools.send("Page.handleJavaScriptDialog", self._session, accept=text(about, "type") == "beforeunload")
        elif event == "Page.loadEventFired":
            self._is_loaded = True
        elif event == "Page.frameNavigated" and not text(part(about, "frame"), "parentId"):
            self._unreachable = text(part(about, "frame"), "unreachableUrl")


def _checked(encoded: str) -> bytes:
    """The picture, if it begins as a PNG of WIDTH × HEIGHT does and is small enough. Raises NoScreenshot."""
    try:
        content = base64.b64decode(encoded, validate=True)
    except ValueError:
        content = b""
    if len(content) > MOST_BYTES:
        raise NoScreenshot(f"The picture is larger than {MOST_BYTES // 2**20} MiB.")
    if len(content) < _HEADER.size or _HEADER.unpack_from(content) != (_SIGNATURE, 13, b"IHDR", WIDTH, HEIGHT):
        raise NoScreenshot(f"The browser gave something else than a picture of {WIDTH}×{HEIGHT}.")
    return content
