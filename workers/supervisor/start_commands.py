"""What is run of a checkout: a shell command, or a file server for a static website."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from workers import static_server
from workers.checkouts.commits import is_website, start_line


@dataclass(frozen=True)
class Command:
    """readable: what it may read beside the checkout. is_offline: it needs no network but its own ports."""

    argv: tuple[str, ...]
    readable: tuple[Path, ...] = ()
    is_offline: bool = False


def shell_command(line: str) -> Command:
    return Command(("sh", "-c", line))


def low_priority_command(line: str) -> Command:
    """The same, but what else runs on the machine comes first."""
    return Command(("nice", "-n", "19", "sh", "-c", line))


def command_that_starts(start_command: str | None, code: Path) -> Command | None:
    """Return what starts this checkout: the given command, else the Procfile's web line, else a file server; None if
    there is none of these."""
    if line := start_line(start_command, code):
        return shell_command(line)
    if is_website(code):
        program = Path(static_server.__file__)
        return Command((sys.executable, "-I", str(program), str(code)), (program,), is_offline=True)
    return None
