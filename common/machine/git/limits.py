"""Resource limits of every git process, and whether git ended because of these limits or because of the machine.

Repositories come from others: a few small objects can describe a tree of 10^10 paths, or a file of zeros that is larger
than memory. Used wherever git is started: by the forges, the web server, the supervisor, agents and pods. Needs no
package outside the standard library, because the first container of a pod uses it.
"""

from __future__ import annotations

import functools
import re
import resource
import shutil
import signal

from common.machine.processes.children import signal_name, tied_to_parent

MEMORY_BYTES = 2 * 2**30
"""Heap of one git process. Packs are mapped read-only and do not count."""
CPU_SECONDS = 900
"""Processor time of one git process; clones of the largest repositories need less."""
FILE_BYTES = 16 * 2**30
"""Largest file, such as a pack, that one git process may write."""
LARGE_FILES = ("core.bigFileThreshold", "32m")
"""Git configuration: files above this size are streamed and not diffed, instead of being loaded into memory."""

_RESOURCES = {
    "data": (resource.RLIMIT_DATA, MEMORY_BYTES),
    "cpu": (resource.RLIMIT_CPU, CPU_SECONDS),
    "fsize": (resource.RLIMIT_FSIZE, FILE_BYTES),
    "core": (resource.RLIMIT_CORE, 0),
}
_LIMIT_SIGNALS = frozenset({signal.SIGXCPU, signal.SIGXFSZ})
# Only messages of this git itself: lines from the remote side begin with `remote:`.
_TOO_LARGE = re.compile(
    r"^(fatal|error): .*(out of memory|cannot allocate memory|exceeded maximum allowed tree depth|file too large)",
    re.MULTILINE | re.IGNORECASE,
)
_DIED = re.compile(r"died of signal (\d+)")
_NO_ROOM = re.compile(r"no space left on device|disk quota exceeded|unable to create temporary object directory", re.I)
# Git's own exit codes go up to 129 (wrong usage); a shell reports signal n as 128 + n.
_LARGEST_EXIT_CODE = 129


@functools.cache
def limits() -> tuple[str, ...]:
    """Prefix of a git command that sets its limits; empty if prlimit (util-linux) is not installed.

    Each child of that git inherits the same limits. Lower limits of the machine stay in force.
    """
    prlimit = shutil.which("prlimit")
    if prlimit is None:
        return ()
    words = [prlimit]
    for name, (number, wanted) in _RESOURCES.items():
        hard = resource.getrlimit(number)[1]
        words.append(f"--{name}={wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)}")
    return (*words, "--")


@functools.cache
def limits_prefix() -> tuple[str, ...]:
    """Prefix of a git command: sets its limits and makes the kernel kill it when its parent dies.

    Shorter or empty without util-linux.
    """
    return (*tied_to_parent(), *limits())


def met_limit(code: int, said: str) -> bool:
    """Whether git ended because of its limits, so that it would end the same way again. code: negative for a signal."""
    if code == 0:
        return False
    return any(number in _LIMIT_SIGNALS for number in _signals(code, said)) or _TOO_LARGE.search(said) is not None


def was_cut_short(code: int, said: str) -> str | None:
    """The predicate of a sentence if the machine ended git (killed, or disk full); None for any other outcome."""
    if code == 0 or met_limit(code, said):
        return None
    if _NO_ROOM.search(said):
        return "found no room on the disk"
    for number in _signals(code, said):
        return f"was killed by {signal_name(number)}"
    return None


def _signals(code: int, said: str) -> list[int]:
    own = [-code] if code < 0 else [code - 128] if code > _LARGEST_EXIT_CODE else []
    return own + [int(number) for number in _DIED.findall(said)]
