"""What the host of a run's databases sees and reaches.

Its servers obey clients that nobody has reviewed, with all rights in the server: PostgreSQL's superuser runs programs,
MariaDB reads and writes files, and Redis connects to where it is told. So the host has a sandbox of its own, and the
run's programs reach the servers through forwarded ports.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from common.machine.processes.children import base_environment
from workers.needs.databases import Databases
from workers.sandbox.limits import Bounds, Reach, SandboxLimits
from workers.sandbox.sandboxes import Sandboxes
from workers.sandbox.system_folders import CODE, own_programs

ONLY_TEMPLATES = "--only-templates"


def host_limits(databases: Databases, reach: Reach, bounds: Bounds, *, makes_templates: bool = False) -> SandboxLimits:
    """The limits of the host. reach: see `host_reach`. makes_templates: of the command that only makes templates."""
    home = databases.report.parent
    shown = (databases.place, databases.templates) if makes_templates else (databases.place,)
    return SandboxLimits(
        home=home,
        scratch=databases.scratch,
        writable=shown,
        readable=(*own_programs(), *(() if makes_templates else (databases.templates,))),
        reach=reach,
        bounds=replace(bounds, file_bytes=None),
    )


def host_reach(sandboxes: Sandboxes, reach: Reach) -> Reach:
    """The reach of the host for programs with this one. It has no network but its loopback; where the programs share
    this machine's network, which has no forwarded ports, the host does too.
    """
    return reach if sandboxes.shares_network(reach) else Reach.NOTHING


def host_environment(home: Path) -> dict[str, str]:
    """The environment of the host, which finds AiWorker's own packages."""
    return {**base_environment(home), "PYTHONPATH": str(CODE)}
