"""Finds bubblewrap and slirp4netns, and tries once whether they can confine a command on this machine.

https://github.com/containers/bubblewrap starts a command in namespaces of its own; slirp4netns gives such a command a
network without giving it this machine's. Both work for an ordinary user where the kernel lets one make a namespace.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

PROBE_SECONDS = 20.0
"""How long the tiny sandbox may take. It takes 20 ms; a machine under load is slower."""
INSTALL = "apt-get install bubblewrap slirp4netns"
INSIDE_UID = 1000
"""The user that a command of root is inside: many programs refuse to be root, or behave in another way."""
_TUN = Path("/dev/net/tun")
_APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
_MOST_NAMESPACES = Path("/proc/sys/user/max_user_namespaces")
_DEBIAN_SWITCH = Path("/proc/sys/kernel/unprivileged_userns_clone")


@dataclass(frozen=True)
class SandboxFinding:
    """Whether commands can be confined here. Empty texts: nothing to say.

    why_not: one sentence if is_confining is false; remedy: what to do about it, such as a command. has_outbound: a
    command can have a network of its own that reaches the world; else why_no_outbound is one sentence, and such a
    command shares this machine's network. bwrap, slirp4netns, nsenter: paths of the programs.
    """

    is_confining: bool
    why_not: str = ""
    remedy: str = ""
    has_outbound: bool = False
    why_no_outbound: str = ""
    bwrap: str = ""
    slirp4netns: str = ""
    nsenter: str = ""

    @property
    def says(self) -> str:
        """One line for a person."""
        if not self.is_confining:
            return f"commands are not confined: {self.why_not}; {self.remedy}"
        if not self.has_outbound:
            return f"commands are confined; with an open network they share this machine's: {self.why_no_outbound}"
        return "commands are confined"


@functools.cache
def find_sandbox() -> SandboxFinding:
    """Start a tiny sandbox once per process and say what came of it. Takes PROBE_SECONDS at most and never raises."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return SandboxFinding(False, "bubblewrap (bwrap) is not installed", INSTALL)
    try:
        tried = subprocess.run(
            [bwrap, *_probe_arguments()],
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return SandboxFinding(False, f"{bwrap} gave no answer within {PROBE_SECONDS:.0f} s", INSTALL, bwrap=bwrap)
    except OSError as error:
        return SandboxFinding(False, f"{bwrap} can't be started: {error.strerror}", INSTALL, bwrap=bwrap)
    if tried.returncode:
        said = tried.stderr.decode(errors="replace").strip().splitlines()
        why = said[-1][:200] if said else f"exit status {tried.returncode}"
        return SandboxFinding(False, f"{bwrap} can't make a sandbox here ({why})", _remedy(), bwrap=bwrap)
    slirp, nsenter = shutil.which("slirp4netns"), shutil.which("nsenter")
    why_no_outbound = _why_no_outbound(slirp, nsenter)
    return SandboxFinding(
        is_confining=True,
        has_outbound=not why_no_outbound,
        why_no_outbound=why_no_outbound,
        bwrap=bwrap,
        slirp4netns=slirp or "",
        nsenter=nsenter or "",
    )


def user_arguments() -> list[str]:
    """Arguments of bwrap that choose the user inside: the same as outside, or an ordinary one where that is root."""
    return ["--uid", str(INSIDE_UID), "--gid", str(INSIDE_UID)] if os.geteuid() == 0 else []


def _probe_arguments() -> list[str]:
    return [
        *("--unshare-all", "--die-with-parent", *user_arguments()),
        *("--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--chdir", "/"),  # noqa: S108
        *("--hostname", "sandbox", "true"),
    ]


def _remedy() -> str:
    if _number(_APPARMOR) == 1 and os.geteuid() != 0:
        return (
            "AppArmor forbids user namespaces: give bwrap an AppArmor profile with the rule `userns`, or set "
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0"
        )
    if _number(_DEBIAN_SWITCH) == 0 and os.geteuid() != 0:
        return "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1"
    if _number(_MOST_NAMESPACES) == 0:
        return "allow user namespaces: sysctl user.max_user_namespaces=10000"
    return (
        "in a container, allow user namespaces (Docker: --security-opt seccomp=unconfined --security-opt "
        "systempaths=unconfined), or let the container be the sandbox: AIWORKER_SANDBOX=off"
    )


def _why_no_outbound(slirp: str | None, nsenter: str | None) -> str:
    if slirp is None:
        return "slirp4netns is not installed (apt-get install slirp4netns)"
    if nsenter is None:
        return "nsenter is not installed (apt-get install util-linux)"
    try:
        os.close(os.open(_TUN, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return f"slirp4netns needs {_TUN}, which can't be opened ({error.strerror})"
    return ""


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
