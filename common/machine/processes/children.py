"""Child processes: ended together with their parent, killed as a group, and their exit statuses in words."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
from pathlib import Path

from common.machine.certificates import certificate_variables, chosen_bundle
from common.machine.proxy_variables import NAMES

SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin"
"""PATH of a child if this process has none."""
PARENT_DEATH_COMMAND = ("setpriv", "--pdeathsig", "KILL", "--")
"""Prefix of a command which makes the kernel kill it when the thread that started it ends (util-linux)."""


@functools.cache
def tied_to_parent() -> tuple[str, ...]:
    """PARENT_DEATH_COMMAND with setpriv's full path; empty if setpriv is not installed.

    It applies to the command itself, not to the command's children.
    """
    setpriv = shutil.which(PARENT_DEATH_COMMAND[0])
    return (setpriv, *PARENT_DEATH_COMMAND[1:]) if setpriv else ()


def base_environment(home: Path | str) -> dict[str, str]:
    """The environment of a child: PATH of this process, HOME, the locale, and the file of certificates that this
    process's environment names. It contains no secret.

    In a pod, which is its own sandbox (AIWORKER_SANDBOX=off), also the proxy that the pod is given.
    """
    is_pod = os.environ.get("AIWORKER_SANDBOX", "").strip() == "off"
    proxy = {name: os.environ[name] for name in NAMES if is_pod and name in os.environ}
    own = {"PATH": os.environ.get("PATH", SEARCH_PATH), "HOME": str(home), "LANG": "C.UTF-8"}
    return own | proxy | certificate_variables(chosen_bundle())


def kill_group(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to the process group that `pid` leads; do nothing if there is none. Safe to repeat.

    Call it only before the child has been waited for: after that, another process may get its number.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def has_ended(pid: int) -> bool:
    """Whether a child has ended. Does not reap it, so its number stays reserved until its group is killed."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def signal_name(number: int) -> str:
    """`SIGKILL`, or `signal 35` for a number without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def describe_exit(status: int) -> str:
    """`exited with 1` or `was killed by SIGKILL`. status: a returncode of subprocess, negative for a signal."""
    return f"exited with {status}" if status >= 0 else f"was killed by {signal_name(-status)}"
