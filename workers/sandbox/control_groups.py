"""Control groups that bound the memory and the processes of one sandbox: version 2 where it is delegated, else 1.

A sandbox has two groups, one in the other. The outer carries the bounds; its processes are in the inner one, which is
all that they see, so that even a command of root can't raise them. Where no group can be made, `watching` counts.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from workers.sandbox.limits import Bounds

_ROOT = Path("/sys/fs/cgroup")
_PREFIX = "aiworker-sandbox-"
_INNER = "inside"
_EMPTY_SECONDS = 5.0
_POLL_SECONDS = 0.01


@dataclass
class Group:
    """outer: the groups with the bounds, one for each hierarchy. memory, processes: whether these are bounded here."""

    outer: list[Path] = field(default_factory=list)
    memory: bool = False
    processes: bool = False

    @property
    def entrances(self) -> tuple[Path, ...]:
        """Files that a process writes 0 to, to enter."""
        return tuple(path / _INNER / "cgroup.procs" for path in self.outer)

    def broken_bound(self) -> str | None:
        """Which bound ended or refused something: `memory` or `processes`; None: neither."""
        # Which of the two groups counts it depends on the version.
        places = [place for path in self.outer for place in (path, path / _INNER)]
        if any(
            _count(place / name, "oom_kill") for place in places for name in ("memory.events", "memory.oom_control")
        ):
            return "memory"
        return "processes" if any(_count(place / "pids.events", "max") for place in places) else None

    def remove(self) -> None:
        """Kill what is left in it, wait for its end, and remove it. Safe to repeat. OSError if it can't be emptied."""
        until = time.monotonic() + _EMPTY_SECONDS
        for path in self.outer:
            for folder in (path / _INNER, path):
                while not _removed(folder):
                    if time.monotonic() > until:
                        raise OSError(f"the control group {folder} is still in use")
                    _kill(folder)
                    time.sleep(_POLL_SECONDS)
        self.outer.clear()


def make_group(owner: str, name: str, bounds: Bounds) -> Group:
    """Make the groups of a sandbox. owner, name: parts of the folder's name, so that `remove_all` finds an owner's.

    What can't be bounded here is left out; then the group says so. Never raises.
    """
    group = Group()
    for hierarchy, controllers in _hierarchies():
        wants = [one for one in controllers if _wants(bounds, one)]
        if not wants:
            continue
        folder = hierarchy / f"{_PREFIX}{owner}-{name}"
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            for controller in wants:
                _bound(folder, controller, bounds)
            (folder / _INNER).mkdir()
            # The right to make a folder is not the right to put processes into it.
            with (folder / _INNER / "cgroup.procs").open("wb"):
                pass
        except OSError:
            _removed(folder / _INNER)
            _removed(folder)
            continue
        group.outer.append(folder)
        group.memory = group.memory or "memory" in wants
        group.processes = group.processes or "pids" in wants
    return group


def remove_all(owner: str) -> None:
    """Remove the groups that a killed process of this owner left, with the processes in them. Never raises."""
    for hierarchy, _ in _hierarchies():
        for folder in hierarchy.glob(f"{_PREFIX}{owner}-*"):
            with contextlib.suppress(OSError):
                Group([folder]).remove()


def _wants(bounds: Bounds, controller: str) -> bool:
    return bounds.memory_bytes is not None if controller == "memory" else bounds.processes is not None


def _bound(folder: Path, controller: str, bounds: Bounds) -> None:
    if controller == "pids":
        (folder / "pids.max").write_text(str(bounds.processes))
        return
    is_second = (folder / "memory.max").exists()
    (folder / ("memory.max" if is_second else "memory.limit_in_bytes")).write_text(str(bounds.memory_bytes))
    # Not every kernel counts swap, and not every version kills a group as a whole: `watching` sees to the rest.
    with contextlib.suppress(OSError):
        if is_second:
            (folder / "memory.swap.max").write_text("0")
        else:
            (folder / "memory.memsw.limit_in_bytes").write_text(str(bounds.memory_bytes))
    if is_second:
        with contextlib.suppress(OSError):
            (folder / "memory.oom.group").write_text("1")


def _hierarchies() -> Iterator[tuple[Path, list[str]]]:
    """The groups below which one may be made, with the controllers that each gives."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, names, own = line.split(":", 2)
        if names == "":
            mounts = [_ROOT, _ROOT / "unified"]
            wanted = ["memory", "pids"]
        else:
            mounts = [_ROOT / names]
            wanted = [one for one in names.split(",") if one in {"memory", "pids"}]
        for mount in mounts if wanted else []:
            place = _place(mount, own.lstrip("/"))
            if place is None:
                continue
            given = wanted
            if names == "":
                with contextlib.suppress(OSError):
                    given = [one for one in wanted if one in (place / "cgroup.subtree_control").read_text().split()]
            if given:
                yield place, given


def _place(mount: Path, own: str) -> Path | None:
    """This process's own group; its parent where a group with processes may not have others (version 2)."""
    own_group = mount / own
    candidates = [own_group, own_group.parent] if own else [mount]
    if not (mount / "cgroup.procs").exists():
        return None
    for place in candidates:
        is_second = (place / "cgroup.subtree_control").exists()
        has_controllers = not is_second or (place / "cgroup.subtree_control").read_text().split()
        if place.is_dir() and has_controllers and os.access(place, os.W_OK):
            return place
    return None


def _count(path: Path, key: str) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.split()[:1] == [key]), 0)


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _kill(folder: Path) -> None:
    with contextlib.suppress(OSError):
        (folder / "cgroup.kill").write_text("1")
    try:
        numbers = (folder / "cgroup.procs").read_text().split()
    except OSError:
        return
    for number in numbers:
        with contextlib.suppress(OSError):
            os.kill(int(number), signal.SIGKILL)
