"""Counts the processes of a sandbox and their memory, for machines where no control group does.

Files in memory count as well: those of memfd_create(2), and what is on each tmpfs that was mounted for the sandbox or
inside of it. Not counted: what no descriptor leads to and no process has touched (in segments of shmget(2), and in
files that were mapped and closed); a tmpfs that another mount covers, or that has no size; and the descriptors and
mounts of processes that this user may not look into.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from common.machine.disk import BLOCK_BYTES, open_files

_ESCAPED = re.compile(r"\\([0-7]{3})")


def tree_use(pid: int, *, counts_memory: bool = True) -> tuple[int, int]:
    """How many descendants a process has, and the bytes of memory that they use; 0 unless counts_memory.

    A page that several processes have mapped counts for each. One that is mapped and in a file counts only once.
    """
    try:
        tree = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return 0, 0
    if not counts_memory:
        return len(tree), 0
    resident = shared = 0
    for process in tree:
        with contextlib.suppress(psutil.Error):
            memory = process.memory_info()
            resident += memory.rss
            shared += memory.shared
    in_files = _of_descriptors(tree) + _of_mounts(tree)
    return len(tree), resident + max(0, in_files - shared)


def _of_descriptors(tree: Sequence[psutil.Process]) -> int:
    device, files = _memfd_device(), dict[int, int]()
    for process in tree:
        for found in open_files(process.pid):
            if found.st_dev == device:
                files[found.st_ino] = found.st_blocks * BLOCK_BYTES
    return sum(files.values())


@functools.cache
def _memfd_device() -> int:
    """That of all files of memfd_create: a tmpfs of the kernel's own, which is mounted nowhere."""
    made = os.memfd_create("device", os.MFD_CLOEXEC)
    try:
        return os.fstat(made).st_dev
    finally:
        os.close(made)


def _of_mounts(tree: Sequence[psutil.Process]) -> int:
    """What is on each tmpfs that the tree sees and this process does not."""
    used: dict[str, int] = dict.fromkeys((device for device, _ in _tmpfs("self")), 0)
    namespaces: set[str] = set()
    for process in tree:
        with contextlib.suppress(OSError):
            namespace = os.readlink(f"/proc/{process.pid}/ns/mnt")
            if namespace in namespaces:
                continue
            namespaces.add(namespace)
            for device, place in _tmpfs(str(process.pid)):
                if device not in used and _device(place) == device:
                    found = os.statvfs(place)
                    used[device] = (found.f_blocks - found.f_bfree) * found.f_frsize
    return sum(used.values())


def _tmpfs(process: str) -> Iterator[tuple[str, str]]:
    """The device of each tmpfs that a process sees, and a path to it for this process. See proc(5), mountinfo."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/mountinfo").read_bytes().splitlines():
            fields, _, kind = os.fsdecode(line).partition(" - ")
            if kind.startswith("tmpfs "):
                device, _, place = fields.split()[2:5]
                yield device, f"/proc/{process}/root{_ESCAPED.sub(lambda found: chr(int(found[1], 8)), place)}"


def _device(path: str) -> str | None:
    try:
        number = os.stat(path).st_dev
    except OSError:
        return None
    return f"{os.major(number)}:{os.minor(number)}"
