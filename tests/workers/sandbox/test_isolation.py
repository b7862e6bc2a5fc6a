"""What namespaces do not cover, what they cover only together with other limits, and the lives of processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from common.machine.programs.bubblewrap import SandboxFinding
from tests.workers.sandbox.conftest import SECONDS, Starter
from workers.sandbox import sandboxes
from workers.sandbox.limits import SandboxLimits
from workers.sandbox.sandboxes import SandboxMissing, SandboxMode


def test_what_reaches_past_namespaces_is_refused(either_starter: Starter) -> None:
    code = (
        "import ctypes, errno, fcntl, os, platform, socket, sys\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "def tried(number, *rest):\n"
        "    ctypes.set_errno(0); libc.syscall(number, *rest); print(errno.errorcode.get(ctypes.get_errno()))\n"
        "try: socket.socket(40, 1)\n"
        "except OSError as error: print(errno.errorcode[error.errno])\n"
        "tried(250 if platform.machine() == 'x86_64' else 219, 0, -3, 0)\n"  # keyctl
        "tried(425, 8, 0)\n"  # io_uring_setup
        "tried(438, os.pidfd_open(os.getpid()), 0, 0)\n"  # pidfd_getfd
        "try: fcntl.ioctl(0, 0x5412, b'x')\n"  # typing into a terminal
        "except OSError as error: print(errno.errorcode[error.errno])\n"
    )

    assert either_starter.python(code).output.split() == ["EAFNOSUPPORT", "ENOSYS", "ENOSYS", "ENOSYS", "EPERM"]


def test_a_sandbox_may_have_a_sandbox_inside(starter: Starter) -> None:
    # Of root's commands, the system's own settings in /proc are covered, so that none can make a /proc that shows them.
    proc = ["--proc", "/proc"] if os.geteuid() != 0 else []
    ended = starter.run("bwrap", "--unshare-all", "--ro-bind", "/", "/", *proc, "echo", "nested")

    assert (ended.output, ended.errors) == ("nested\n", "")


def test_everything_ends_with_the_starter(confining: SandboxFinding, tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time; from pathlib import Path; from workers.sandbox.sandboxes import Sandboxes;"
        "from workers.sandbox.limits import SandboxLimits; home = Path(sys.argv[1]);"
        "c = ['sh', '-c', 'echo ready; sleep 1000'];"
        "e = Sandboxes(home / 's').enclose(c, cwd=home, environ={}, sandbox_limits=SandboxLimits(home));"
        "p = subprocess.Popen(e.argv, cwd=e.cwd, env=e.environ, pass_fds=e.pass_fds); e.begin(p.pid); time.sleep(1000)"
    )
    outer = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parents[3], stdout=subprocess.PIPE
    )
    assert outer.stdout is not None
    assert outer.stdout.readline() == b"ready\n"
    inside = psutil.Process(outer.pid).children(recursive=True)

    outer.kill()
    outer.communicate(timeout=SECONDS)

    assert psutil.wait_procs(inside, timeout=SECONDS)[1] == []
    left = sandboxes.Sandboxes(tmp_path / "s")
    left.clear()
    assert list(Path("/sys/fs/cgroup").glob(f"*/aiworker-sandbox-{left._owner}-*")) == []


@pytest.mark.parametrize("delay_ms", [0, 8, 16])
def test_a_sandbox_that_is_killed_while_it_is_made_leaves_nothing(either_starter: Starter, delay_ms: int) -> None:
    started = either_starter.start("sleep", "1000")
    # Wherever in its beginning this finds it: each must end well, so the exact moment does not matter.
    threading.Event().wait(delay_ms / 1000)

    started.process.kill()
    ended = started.end()  # its output ends, as nobody holds it any more

    assert ended.status == -signal.SIGKILL
    assert either_starter.left() == []


def test_a_required_sandbox_that_cannot_be_made_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    sandboxes.bubblewrap.find_sandbox.cache_clear()
    try:
        with pytest.raises(SandboxMissing, match="not installed; apt-get install bubblewrap"):
            sandboxes.Sandboxes(tmp_path / "s", SandboxMode.REQUIRED).enclose(
                ["true"], cwd=tmp_path, environ={}, sandbox_limits=SandboxLimits(tmp_path)
            )
        plain = sandboxes.Sandboxes(tmp_path / "s").enclose(
            ["true"], cwd=tmp_path, environ={"A": "b"}, sandbox_limits=SandboxLimits(tmp_path)
        )
    finally:
        sandboxes.bubblewrap.find_sandbox.cache_clear()

    assert (plain.argv, plain.environ, plain.is_confined) == (("true",), {"A": "b"}, False)
