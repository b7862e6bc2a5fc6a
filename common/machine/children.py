"""Child processes on a leash: they die with their parent, are ended as a group, and say how they ended."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
from pathlib import Path

SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin"
"""PATH of a child where this process has none."""
PARENT_DEATH_COMMAND = ("setpriv", "--pdeathsig", "KILL", "--")
"""What goes before a command so that the kernel kills it when the thread that started it ends (util-linux)."""


@functools.cache
def tied_to_parent() -> tuple[str, ...]:
    """PARENT_DEATH_COMMAND with setpriv's full path; empty where setpriv is not installed.

    It holds for the command itself only, not for what that starts in turn.
    """
    setpriv = shutil.which(PARENT_DEATH_COMMAND[0])
    return (setpriv, *PARENT_DEATH_COMMAND[1:]) if setpriv else ()


def base_environment(home: Path | str) -> dict[str, str]:
    """PATH, HOME and the locale: all that a child is given of this process's environment, none of it a secret."""
    return {"PATH": os.environ.get("PATH", SEARCH_PATH), "HOME": str(home), "LANG": "C.UTF-8"}


def kill_group(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to the process group that `pid` leads; does nothing where there is none. Safe to repeat.

    Only for a child that has not been waited for: until then its number can't belong to another process.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def has_ended(pid: int) -> bool:
    """Whether a child has ended. It is left unwaited, so that its number stays its own until its group is killed."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def signal_name(number: int) -> str:
    """`SIGKILL`, or `signal 35` for a number without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def exit_words(status: int) -> str:
    """`exited with 1` or `was killed by SIGKILL`. status: as subprocess gives it, negative for a signal."""
    return f"exited with {status}" if status >= 0 else f"was killed by {signal_name(-status)}"
