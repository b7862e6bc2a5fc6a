"""How a backup or a restore ends when a signal tells the process to: what it has begun is undone first."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def unwinding() -> Iterator[None]:
    """Let HUP and TERM end the work inside as Ctrl-C does, so that it is undone. Further signals are ignored then.

    Only for the main thread. HUP and TERM raise SystemExit.
    """

    def end(number: int, _frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    numbers = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)
    # What nohup has the process ignore stays ignored.
    before = {each: signal.getsignal(each) for each in numbers if signal.getsignal(each) != signal.SIG_IGN}
    for each in before:
        signal.signal(each, end)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
