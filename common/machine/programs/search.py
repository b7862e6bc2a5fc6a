"""Finds a program on this machine and asks it for its version: a chosen path, a folder of installed ones, PATH."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from common.machine.processes.children import base_environment
from common.machine.waiting import Deadline

SEARCH_SECONDS = 10.0
"""The most that a search takes, all programs that it asks included."""
_NUMBERS = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


@dataclass(frozen=True)
class WantedProgram:
    """name: of its executable. oldest: the first version that will do. setting: the variable that may hold its path.

    remedy: the command that installs it. needs_node: Node.js runs it.
    """

    name: str
    oldest: str
    setting: str
    remedy: str
    needs_node: bool = False


@dataclass(frozen=True)
class ProgramFinding:
    """What a search found. is_usable: there, executable, new enough. says: one sentence, with a remedy if it is not.

    path: empty if nothing was found. version: such as `2.1.331`; None if there is none or it does not say.
    """

    is_usable: bool
    says: str
    path: str = ""
    version: str | None = None


def find_program(wanted: WantedProgram, *, folder: Path | None, chosen: str = "") -> ProgramFinding:
    """Look at the chosen path, which excludes the others; then in the folder, newest first; then on PATH.

    chosen: what the setting says; empty if it is not set. folder: laid out as `<name>/<version>/bin/<name>`; None:
    there is none. What is there has been tried when it was installed and is not started. Takes SEARCH_SECONDS at most
    and never raises.
    """
    if wanted.needs_node and shutil.which("node") is None:
        return ProgramFinding(False, f"{wanted.name} needs Node.js, and there is no node; install Node.js 20 or newer")
    deadline = Deadline(SEARCH_SECONDS)
    if chosen:
        if not os.access(chosen, os.X_OK) or os.path.isdir(chosen):
            return ProgramFinding(False, f"{wanted.setting}={chosen} is not a program; correct or remove it", chosen)
        return _examined(wanted, chosen, deadline)
    for installed in installed_versions(wanted.name, folder) if folder else []:
        if version_numbers(installed.name) >= version_numbers(wanted.oldest):
            path = str(installed / "bin" / wanted.name)
            return ProgramFinding(True, f"version {installed.name} at {path}", path, installed.name)
    on_path = shutil.which(wanted.name)
    if on_path:
        return _examined(wanted, on_path, deadline)
    return ProgramFinding(False, f"{wanted.name} is not installed; install it with: {wanted.remedy}")


def installed_versions(name: str, folder: Path) -> list[Path]:
    """The folders of the installed versions, newest first. What is not installed completely has no program."""
    try:
        versions = [one for one in (folder / name).iterdir() if os.access(one / "bin" / name, os.X_OK)]
    except OSError:
        return []
    return sorted(versions, key=lambda one: version_numbers(one.name), reverse=True)


def version_numbers(text: str) -> tuple[int, int, int]:
    """The first version in a text; (0, 0, 0) if there is none."""
    found = _NUMBERS.search(text)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else (0, 0, 0)


def _examined(wanted: WantedProgram, path: str, deadline: Deadline) -> ProgramFinding:
    try:
        answer = version_line(path, deadline.left_seconds)
    except subprocess.TimeoutExpired:
        says = f"{path} --version gave no answer within {SEARCH_SECONDS:.0f} s; install it anew with: {wanted.remedy}"
        return ProgramFinding(False, says, path)
    except OSError as error:
        return ProgramFinding(False, f"{path} can't be started ({error.strerror}); install: {wanted.remedy}", path)
    numbers = version_numbers(answer)
    if numbers == (0, 0, 0):
        says = f"{path} --version does not say a version ({answer[:100] or 'nothing'}); install: {wanted.remedy}"
        return ProgramFinding(False, says, path)
    version = ".".join(map(str, numbers))
    if numbers < version_numbers(wanted.oldest):
        says = f"{path} is version {version}; {wanted.oldest} or newer is needed: {wanted.remedy}"
        return ProgramFinding(False, says, path, version)
    return ProgramFinding(True, f"version {version} at {path}", path, version)


def version_line(path: str, seconds: float) -> str:
    """The first line that a program prints when it is asked for its version; empty if it prints none.

    It gets a HOME of its own and no variable that may hold a secret. Raises OSError if it can't be started, and
    subprocess.TimeoutExpired.
    """
    with tempfile.TemporaryDirectory(prefix="aiw-version-", ignore_cleanup_errors=True) as home:
        done = subprocess.run(
            [path, "--version"],
            env=base_environment(home),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=max(seconds, 0.1),
            check=False,
        )
    lines = (done.stdout or done.stderr).decode(errors="replace").split("\n")
    return next((line.strip() for line in lines if line.strip()), "")
