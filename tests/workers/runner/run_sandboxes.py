"""Sandboxes for tests: real ones, where this machine has them."""

from __future__ import annotations

from pathlib import Path

from workers.runner.processes.run_confinement import Confinement
from workers.sandbox.sandboxes import Sandboxes, SandboxMode


def sandboxes(beside: Path, mode: SandboxMode = SandboxMode.AUTO) -> Sandboxes:
    """beside: a run's directory."""
    return Sandboxes(beside.parent / f"{beside.name}-sandboxes", mode)


def confinement(beside: Path) -> Confinement:
    return Confinement(sandboxes(beside))
