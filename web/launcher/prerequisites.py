"""What this machine needs before the platform is started. A failed check raises Misconfigured with one line.

The checks change nothing, except that the data directory is created and locked.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from common.errors import Misconfigured
from common.machine.locks import is_locked, locked
from common.network.port_ranges import why_not_bindable
from common.settings import RuntimeSettings
from common.settings.private_files import unwritable

LOCK = "lock"
"""Name of the file in the data directory that `aiworker up` locks while it runs."""
OLDEST_GIT = (2, 38)
"""The first version with `git merge-tree --write-tree`, with which the local forge merges."""


def check_programs() -> None:
    """Check for setpriv, and for a git that can merge without a work tree."""
    if shutil.which("setpriv") is None:
        raise Misconfigured("setpriv is not installed (on Debian: apt-get install util-linux)")
    if shutil.which("git") is None:
        raise Misconfigured("git is not installed (on Debian: apt-get install git)")
    says = subprocess.run(["git", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    numbers = re.search(r"(\d+)\.(\d+)", says)
    if not numbers or (int(numbers[1]), int(numbers[2])) < OLDEST_GIT:
        raise Misconfigured(f"git {OLDEST_GIT[0]}.{OLDEST_GIT[1]} or newer is needed; this is: {says or 'no git'}")


def check_port(host: str, port: int) -> None:
    """Check that the web port can be bound."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError as error:
            raise Misconfigured(
                f"port {port} may not be used by this user; choose one above 1023 with AIWORKER_PORT or --port"
            ) from error
        except OSError as error:
            raise Misconfigured(
                f"port {port} on {host} can't be used ({error.strerror}); choose another with AIWORKER_PORT or --port"
            ) from error


def check_apps_address(runtime: RuntimeSettings) -> None:
    """Check that previews and environments of the local runtime can listen where they shall."""
    why_not = why_not_bindable(runtime.bind_host) if runtime.kind == "local" else None
    if why_not is not None:
        raise Misconfigured(
            f"AIWORKER_RUNTIME_BIND={runtime.bind_host} can't be used ({why_not}); set it to an address of this machine"
        )


def is_up(data_dir: Path) -> bool:
    """Whether `aiworker up` runs on this data directory. True if that can't be seen: its lock is another user's."""
    try:
        return is_locked(data_dir / LOCK)
    except OSError:
        return True


@contextmanager
def own_directory(data_dir: Path) -> Iterator[None]:
    """Create the data directory if it is missing, and lock it against other launchers within the context.

    The kernel releases the lock when this process ends, however it ends. Children do not inherit it.
    """
    path = data_dir / LOCK
    with ExitStack() as stack:
        try:
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = stack.enter_context(locked(path, wait=False))
            os.truncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        except BlockingIOError as error:
            owner = path.read_text().strip() or "unknown"
            raise Misconfigured(
                f"the data directory {data_dir} is in use by process {owner}; stop it, or set AIWORKER_DATA_DIR"
            ) from error
        except OSError as error:
            raise unwritable(data_dir, error) from error
        yield


def prepare_socket_directory(path: Path, data_dir: Path) -> None:
    """Create the directory of a Unix socket, accessible to this user only. Does nothing for the data directory itself.

    Other directories are under /tmp, where another user may have created one of that name: a directory that is a link,
    belongs to another user or is accessible to others is refused.
    """
    directory = path.parent
    if directory == data_dir:
        return
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.lstat()
    except OSError as error:
        raise Misconfigured(f"the directory {directory} for {path.name} can't be made ({error.strerror})") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise Misconfigured(
            f"{directory} is accessible to other users; remove it, or set AIWORKER_DATA_DIR to a shorter path"
        )


def free_port(host: str) -> int:
    """A port that is free at present."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
