"""Encloses commands. One Sandboxes for each runner or supervisor process."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path

from common.machine.programs import bubblewrap
from workers.sandbox import control_groups
from workers.sandbox.confined_command import Enclosed, Refusal
from workers.sandbox.confinement import Confined, Preparation
from workers.sandbox.limits import Reach, SandboxLimits
from workers.sandbox.network.proxy_thread import ProxyThread


class SandboxMode(StrEnum):
    """AIWORKER_SANDBOX."""

    AUTO = "auto"
    """Confine where bubblewrap works, else run commands unconfined and say so."""
    REQUIRED = "required"
    """Start nothing where bubblewrap does not work."""
    OFF = "off"
    """Run commands unconfined: for a machine, such as a pod, that is the sandbox itself."""


class SandboxMissing(OSError):
    """A sandbox is required and can't be made on this machine. The message says why, and what to do about it."""


class Sandboxes:
    """directory: a private folder, which no other process uses, for what sandboxes leave; removed by `clear`. It need
    not be there: what can be is kept in memory, and the control groups have its name.

    admin_hosts: hosts that the administrator lets every command with Reach.PROXY reach, also at private addresses
    (AIWORKER_EGRESS_HOSTS). hidden: folders, such as the platform's data, that no command sees but for what its limits
    name; `directory` is always one of them.
    """

    def __init__(
        self,
        directory: Path,
        mode: SandboxMode = SandboxMode.AUTO,
        *,
        admin_hosts: Sequence[str] = (),
        hidden: Sequence[Path] = (),
    ) -> None:
        self.directory = directory
        self.mode = mode
        self._admin_hosts = tuple(admin_hosts)
        self.hidden = tuple(dict.fromkeys([*hidden, directory]))
        self._proxy_thread = ProxyThread()
        self._owner = hashlib.sha256(os.fsencode(directory.absolute())).hexdigest()[:12]

    @property
    def finding(self) -> bubblewrap.SandboxFinding:
        """What this machine can do, whatever the mode is."""
        return bubblewrap.find_sandbox()

    @property
    def is_confining(self) -> bool:
        """Whether commands are confined on this machine."""
        return self.mode is not SandboxMode.OFF and self.finding.is_confining

    def shares_network(self, reach: Reach) -> bool:
        """Whether the network of a command with this reach is this machine's."""
        return not self.is_confining or (reach is Reach.OUTBOUND and not self.finding.has_outbound)

    def enclose(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        environ: Mapping[str, str],
        sandbox_limits: SandboxLimits,
        on_refusal: Callable[[Refusal], None] | None = None,
        needs_dial: bool = False,
        is_only_killed: bool = False,
    ) -> Enclosed:
        """Prepare a command. on_refusal: called from another thread for each host that it may not reach.

        needs_dial: `dial` will be used. is_only_killed: it is sent no signal but SIGKILL; any other ends it with its
        whole tree, too. Without a network it starts in half the time then. Raises OSError if what it needs can't be
        made, SandboxMissing if it must be confined and can't be, and ValueError for forwarded ports that contradict
        each other.
        """
        if not self.is_confining:
            if self.mode is SandboxMode.REQUIRED:
                raise SandboxMissing(f"{self.finding.why_not}; {self.finding.remedy}")
            return Enclosed(argv, cwd, environ)
        name = secrets.token_hex(6)
        preparation = Preparation(
            self.finding, self._proxy_thread, self._owner, name, sys.executable, self._admin_hosts, self.hidden
        )
        return Confined(argv, cwd, environ, sandbox_limits, preparation, on_refusal, needs_dial, is_only_killed)

    def clear(self) -> None:
        """Remove what the sandboxes of a killed process left. Call it once, before anything is enclosed."""
        control_groups.remove_all(self._owner)
        shutil.rmtree(self.directory, ignore_errors=True)

    def close(self) -> None:
        """End the thread that serves forwarded ports. All that was enclosed is closed. Safe to repeat."""
        self._proxy_thread.close()


__all__ = ["Enclosed", "Refusal", "SandboxMissing", "SandboxMode", "Sandboxes"]
