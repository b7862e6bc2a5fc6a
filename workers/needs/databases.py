"""Where the servers of a run live, what they report, and how what a killed process left of them is removed.

All servers of one supervisor or agent lie below one directory in the system's directory for temporary files: servers
that run as another user can't reach the private directories of AiWorker.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from common.machine.files import remove_tree
from common.machine.processes.process_trees import find_processes, signal_processes
from common.machine.waiting import Deadline
from common.values.json_codec import decode
from common.values.needs import ServiceKind, ServiceNeed
from common.values.service_variables import ServiceAddress, service_variables
from common.values.variable_set import Variables
from workers.needs.host import FAILED, KINDS
from workers.needs.installed import ServiceMissing

KILL_SECONDS = 5.0
TEMPLATES, CONFINED_TEMPLATES = "templates", "templates-confined"
"""Those of confined hosts, which can't run servers as another user, belong to the user of AiWorker."""
CONFINED = "confined-"
"""How the names of the places of confined hosts begin."""
WHOLE_SECONDS = 90.0
"""How long the servers may take until they report, in all."""

_SHARED_MEMORY = re.compile(r"\s*[0-9]+\s+([0-9]+)\s*")


class ServicesUnavailable(Exception):
    """The servers do not run, which is no fault of the code that needs them. code: `service_missing` (not installed, or
    not in this version) or `service_failed`. The message is a sentence without secrets."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True)
class Databases:
    """The servers of one run. place: their directory, removed with them. report: written by their host, in a folder
    of its own. is_confined: whether their host runs in a sandbox; see `host_limits`. is_kept: whether the data stays
    when the host ends, until `remove`: after `end` the command can be started again.
    """

    needs: tuple[ServiceNeed, ...]
    place: Path
    report: Path
    is_confined: bool = False
    is_kept: bool = False

    @property
    def templates(self) -> Path:
        """The folder with data directories that are copied for new servers."""
        return self.place.with_name(CONFINED_TEMPLATES if self.is_confined else TEMPLATES)

    @property
    def scratch(self) -> Path:
        """The /tmp of a confined host."""
        return self.report.parent / "tmp"

    @property
    def command(self) -> list[str]:
        """The command of the host, to be started in the directory of AiWorker's code."""
        services = [f"{need.kind}:{need.version or ''}" for need in self.needs]
        options = ["--place", str(self.place), "--templates", str(self.templates), "--report", str(self.report)]
        options += ["--keep"] if self.is_kept else []
        return [sys.executable, "-P", "-m", "workers.needs.host", *options, *services]

    def lacks_templates(self) -> bool:
        """Whether a confined host needs templates that were not made yet, so that the command with `--only-templates`
        is to be run first. Blocking: it asks the servers' programs for their versions.
        """
        if not self.is_confined:
            return False
        try:
            names = [KINDS[need.kind](need.version).template for need in self.needs]
        except ServiceMissing:  # which the host reports
            return False
        return not all((self.templates / name).is_dir() for name in names if name is not None)

    def variables(self) -> Variables | None:
        """The variables of the running servers; None: they are not ready yet. Raises ServicesUnavailable."""
        found = self._reported()
        return None if found is None else service_variables(found)

    def addresses(self) -> list[ServiceAddress]:
        """The addresses of the running servers; empty: they are not ready yet. Raises ServicesUnavailable."""
        return list((self._reported() or {}).values())

    def _reported(self) -> dict[ServiceKind, ServiceAddress] | None:
        try:
            said = json.loads(self.report.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        if "code" in said:
            raise ServicesUnavailable(said["code"], said["reason"])
        addresses = decode(dict[str, ServiceAddress], said["addresses"])
        return {ServiceKind(kind): address for kind, address in addresses.items()}

    def end(self) -> None:
        """Kill what a host that ended left of the servers, and remove the report. Blocking. Safe to repeat."""
        _end_servers(self.place)
        self.remove_report()

    def remove(self) -> None:
        """Kill what is left of the servers, and remove their directory and the report. Blocking. Safe to repeat."""
        clear(self.place)
        self.remove_report()

    def remove_report(self) -> None:
        """Remove the report, which tells the host to end. Blocking. Safe to repeat.

        A client of the servers may have put a folder in its place: that goes too, or stays with the run's directory.
        """
        try:
            self.report.unlink(missing_ok=True)
        except OSError:
            with contextlib.suppress(OSError):
                remove_tree(self.report)


def new_databases(
    needs: Sequence[ServiceNeed], owner: Path, report: Path, *, is_confined: bool = False, is_kept: bool = False
) -> Databases:
    """Choose a place for the servers. owner: the directory of the supervisor or agent. Raises ServicesUnavailable.

    is_confined: their host will run in a sandbox, for which its folders are made; the folder of the report is there.
    """
    root = root_of(owner)
    try:
        root.mkdir(mode=0o700, exist_ok=True)
        found = root.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise ServicesUnavailable(FAILED, f"{root} belongs to another user: remove it")
        root.chmod(0o711)
        name = secrets.token_hex(6)
        place = root / (f"{CONFINED}{name}" if is_confined else name)
        made = Databases(tuple(needs), place, report, is_confined, is_kept)
        for folder in (made.place, made.templates, made.scratch) if is_confined else ():
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ServicesUnavailable(FAILED, f"{root} can't be made: {error.strerror}") from error
    return made


def root_of(owner: Path) -> Path:
    """The directory of all servers of this supervisor or agent."""
    return Path(tempfile.gettempdir()) / f"aiworker-{hashlib.sha256(str(owner.absolute()).encode()).hexdigest()[:12]}"


def clear(place: Path) -> None:
    """Kill the servers in this directory and remove it, also if only a part is left of them. Safe to repeat."""
    if not place.is_dir() or place.is_symlink():
        return
    _end_servers(place)
    with contextlib.suppress(OSError):
        remove_tree(place)


def _end_servers(place: Path) -> None:
    """Kill the servers in this directory.

    A process of PostgreSQL overwrites its environment and leads a session of its own, so it is found by its working
    directory.
    """
    # A data directory lies in the place of a run, and that in the root. They are not searched: `**` is recursive, and
    # fails at about 1000 levels of folders, which a client of a server may have made.
    for record in (*place.glob("*/postmaster.pid"), *place.glob("*/*/postmaster.pid")):
        # A confined one's segments have ended with its sandbox; what its files say is a hostile client's to choose.
        if not any(part.startswith(CONFINED) for part in record.relative_to(place.parent).parts):
            _free_shared_memory(record)
    deadline = Deadline(KILL_SECONDS)
    while (alive := list(find_processes(lambda process: _works_in(process, place)))) and not deadline.is_over:
        signal_processes(alive, signal.SIGKILL)
        time.sleep(0.02)


def _works_in(process: psutil.Process, place: Path) -> bool:
    return Path(process.cwd().removesuffix(" (deleted)")).is_relative_to(place)


def _free_shared_memory(record: Path) -> None:
    """Remove the small System V segment of a killed PostgreSQL, of which a machine has only some thousands.

    The kernel removes it when the last process that is attached has ended.
    """
    with contextlib.suppress(OSError, IndexError):
        match = _SHARED_MEMORY.fullmatch(record.read_text(encoding="utf-8").splitlines()[6])
        if match:
            subprocess.run(["ipcrm", "-m", match[1]], capture_output=True, check=False)
