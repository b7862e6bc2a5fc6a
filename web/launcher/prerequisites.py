"""What must be true of this machine before anything is started, each said in one line when it is not.

Only looks, but for making the data directory and taking its lock. Every function raises Misconfigured.
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
from common.machine.locks import locked
from common.settings.private_files import unwritable

OLDEST_GIT = (2, 38)
"""`git merge-tree --write-tree` came with 2.38; the local forge merges by it."""


def check_programs() -> None:
    """git in a version that can merge without a work tree, and setpriv."""
    if shutil.which("setpriv") is None:
        raise Misconfigured("setpriv is not installed (on Debian: apt-get install util-linux)")
    if shutil.which("git") is None:
        raise Misconfigured("git is not installed (on Debian: apt-get install git)")
    says = subprocess.run(["git", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    numbers = re.search(r"(\d+)\.(\d+)", says)
    if not numbers or (int(numbers[1]), int(numbers[2])) < OLDEST_GIT:
        raise Misconfigured(f"git {OLDEST_GIT[0]}.{OLDEST_GIT[1]} or newer is needed; this is: {says or 'no git'}")


def check_port(host: str, port: int) -> None:
    """The web port can be bound."""
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


@contextmanager
def own_directory(data_dir: Path) -> Iterator[None]:
    """Make the data directory if there is none, and keep every other launcher out of it for as long as this lasts.

    The lock is the kernel's: it is gone with this process, however that ends. Children do not inherit it.
    """
    path = data_dir / "lock"
    with ExitStack() as stack:
        try:
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = stack.enter_context(locked(path, wait=False))
        except BlockingIOError as error:
            owner = path.read_text().strip() or "unknown"
            raise Misconfigured(
                f"the data directory {data_dir} is in use by process {owner}; stop it, or set AIWORKER_DATA_DIR"
            ) from error
        except OSError as error:
            raise unwritable(data_dir, error) from error
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield


def prepare_socket_directory(path: Path, data_dir: Path) -> None:
    """Make the directory that a Unix socket lies in, for this user alone. Does nothing for one in the data directory.

    Elsewhere it is under /tmp, where anyone can make a directory of that name first: one that belongs to another user,
    is a link or is open to others is refused.
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
            f"{directory} is not this user's alone; remove it, or set AIWORKER_DATA_DIR to a shorter path"
        )


def free_port(host: str) -> int:
    """A port that nobody listens on now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
