"""Kills the processes of a supervisor that was killed.

`python -m workers.supervisor.units.orphan_guard <records>`: waits for the end of its standard input, which the
supervisor keeps open while it lives, then kills the processes that are still recorded.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from workers.supervisor.units.records import kill_recorded


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    kill_recorded(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
