"""Outlives a supervisor that was killed, just long enough to kill what that one had started.

`python -m workers.supervisor.guard <records>`: waits for the end of its input, which the supervisor holds open for as
long as it lives, then kills whatever the records still name.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from workers.supervisor.units import kill_recorded


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    kill_recorded(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
