"""Finds the installed programs of database servers, of the version that a project asks for."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from common.machine.processes.children import base_environment

PLACES = ("/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/usr/bin", "/bin")
"""Where to look besides PATH: servers are often in sbin, which ordinary users do not have in PATH."""
VERSION_SECONDS = 10

_NUMBER = re.compile(r"(?:[vV]er(?:sion)?|v=|\(PostgreSQL\)|mariadbd)\D{0,8}?([0-9]+(?:\.[0-9]+)*)")


class ServiceMissing(Exception):
    """A server's program is not installed on this machine, or in no fitting version. The message says what to do."""


@dataclass(frozen=True)
class Program:
    """An installed server. version: such as `15.6`; empty if it does not tell."""

    path: Path
    version: str


def find(names: Sequence[str], more: Iterable[Path] = ()) -> list[Program]:
    """Return the installed programs with one of these names, those in PATH first. more: further paths to look at."""
    found: dict[Path, Program] = {}
    in_path = (shutil.which(name) for name in names)
    elsewhere = (shutil.which(name, path=":".join(PLACES)) for name in names)
    for path in (*in_path, *elsewhere, *more):
        if path is not None and (real := Path(path).resolve()).is_file() and real not in found:
            found[real] = Program(Path(path), _version_of(Path(path)))
    return list(found.values())


def choose(title: str, package: str, programs: Sequence[Program], wanted: str | None) -> Program:
    """Return the first program of the wanted version; None: the first one. Raises ServiceMissing."""
    if not programs:
        raise ServiceMissing(f"{title} is not installed on this machine (on Debian: apt-get install {package})")
    for program in programs:
        if wanted is None or fits(program.version, wanted):
            return program
    there = ", ".join(sorted({program.version or "an unknown version" for program in programs}))
    raise ServiceMissing(
        f"{title} {wanted} is asked for, but {there} is installed on this machine: install {wanted}, or change the"
        " version in the project's services"
    )


def fits(version: str, wanted: str) -> bool:
    """Whether the version begins with the wanted parts: 10.11.6 fits 10 and 10.11, not 1 or 10.1."""
    parts = wanted.split(".")
    return version.split(".")[: len(parts)] == parts


def _version_of(path: Path) -> str:
    try:
        done = subprocess.run(
            [path, "--version"], env=base_environment("/"), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", timeout=VERSION_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = _NUMBER.search(done.stdout)
    return match[1] if match else ""
