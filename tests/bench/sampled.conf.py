"""web/gunicorn.conf.py, and a sample of the worker's stack for each millisecond of CPU time, in AIWORKER_BENCH_SAMPLES.

A signal handler sees the frames of the greenlet that runs, which a profiler of one thread mixes up.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import FrameType
from typing import Any

_ROOT = Path(__file__).parents[2]
_CONF = _ROOT / "web" / "gunicorn.conf.py"
exec(compile(_CONF.read_text(), str(_CONF), "exec"))
_started = globals()["post_worker_init"]


def _name(frame: FrameType) -> str:
    file = frame.f_code.co_filename
    for root in (f"{_ROOT}/", "site-packages/", "python3.11/"):
        file = file.rpartition(root)[2] or file
    return f"{file}:{frame.f_code.co_qualname}"


def post_worker_init(worker: Any) -> None:
    _started(worker)
    samples = os.open(os.environ["AIWORKER_BENCH_SAMPLES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def sample(_signal: int, frame: FrameType | None) -> None:
        stack = []
        while frame is not None:
            stack.append(_name(frame))
            frame = frame.f_back
        os.write(samples, (";".join(reversed(stack)) + "\n").encode())

    signal.signal(signal.SIGPROF, sample)
    signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)
