"""The sandbox of a start: installs its programs where that is allowed, and says whether agents are confined.

Debian's packages are installed as root only; anybody else is told the command. A failed install stops nothing, unless
AIWORKER_SANDBOX=required.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable

from common.errors import Misconfigured
from common.machine.programs.bubblewrap import SandboxFinding, find_sandbox
from common.settings import SandboxSettings

PACKAGES = {"bwrap": "bubblewrap", "slirp4netns": "slirp4netns"}
"""Debian's package of each program."""
INSTALL_SECONDS = 300.0
_APT = ("-q", "-y", "-o", "DPkg::Lock::Timeout=60", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=15")

Say = Callable[[str], None]


def ensure_sandbox(chosen: SandboxSettings, *, installs: bool, say: Say) -> list[str]:
    """Install what the sandbox lacks, and return what people should know about it, a line each. Safe to repeat.

    installs: whether packages may be installed. Raises Misconfigured, one line with the remedy, if AIWORKER_SANDBOX is
    `required` and commands can't be confined here.
    """
    if chosen.mode == "off":
        return ["NOT confined: agents, tests and previews run as this user, because of AIWORKER_SANDBOX=off"]
    if installs:
        _install_missing(say)
    found = find_sandbox()
    if chosen.mode == "required":
        require(found)
    return lines_of(found)


def require(found: SandboxFinding) -> None:
    """Misconfigured, one line with the remedy, unless commands can be confined."""
    if not found.is_confining:
        raise Misconfigured(f"AIWORKER_SANDBOX=required, but {found.why_not}; {found.remedy}")


def lines_of(found: SandboxFinding) -> list[str]:
    """What a start prints of this finding."""
    if not found.is_confining:
        return [
            "NOT confined: agents, tests and previews run as this user and can read its files",
            f"{found.why_not}; {found.remedy}",
        ]
    confined = "Agents, tests and previews run in a sandbox"
    if found.has_outbound:
        return [confined]
    return [confined, f"with an open network they share this machine's: {found.why_no_outbound}"]


def _install_missing(say: Say) -> None:
    wanted = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if not wanted or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    say(f"Installing {' and '.join(wanted)}, in which agents are confined …")
    for package in wanted:
        # Without fresh lists at first: most machines have some, and fetching them takes most of the time.
        why_not = _apt("install", package)
        if why_not is not None and _apt("update") is None:
            why_not = _apt("install", package)
        if why_not is not None:
            say(f"{package} could not be installed: {why_not}")
    find_sandbox.cache_clear()


def _apt(verb: str, *packages: str) -> str | None:
    """None, or why apt-get failed: the last line of its output."""
    options = ("--no-install-recommends",) if verb == "install" else ()
    try:
        done = subprocess.run(
            ["apt-get", verb, *_APT, *options, *packages],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"apt-get took longer than {INSTALL_SECONDS:.0f} s"
    if done.returncode == 0:
        return None
    said = (done.stderr or done.stdout).strip().splitlines()
    return said[-1] if said else f"apt-get ended with {done.returncode}"
