"""How gunicorn serves the API, the page, git and the sockets; the address and the number of processes are arguments.

Read by `aiworker up` and by the Procfile alike.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Any


def _is_in_memory(directory: Path) -> bool:
    """Whether this directory, made if it is missing, is on a file system in memory."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    device = directory.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    mounts = (line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return any(mount[2] == number and mount[mount.index("-") + 1] in {"tmpfs", "ramfs"} for mount in mounts)


# The counters' files are mapped into memory: on a disk that gets full, counting would end the process (SIGBUS).
_metrics = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
if _metrics and not _is_in_memory(Path(_metrics)):
    print(f"PROMETHEUS_MULTIPROC_DIR={_metrics} is not in memory; each process counts for itself", file=sys.stderr)
    del os.environ["PROMETHEUS_MULTIPROC_DIR"]

from prometheus_client import multiprocess  # noqa: E402 (it reads the variable when it is loaded)

worker_class = "web.http.slow_heads.Worker"  # gevent, with a bound for slow heads
worker_connections = 10_000  # sockets stay open: the default of 1,000 would turn page number 1,001 away
keepalive = 75
graceful_timeout = 5  # open sockets are waited for to the end of it
timeout = 60
backlog = 2048
accesslog = None
errorlog = "-"
control_socket_disable = True  # else a socket in the home directory, which may be read-only or shared
forwarded_allow_ips = "127.0.0.1,::1"

_PR_SET_PDEATHSIG = 1


def on_starting(_server: Any) -> None:
    """Take the counters of processes that are gone out of the directory."""
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if not directory:
        return
    for file in Path(directory).glob("*.db"):
        pid = file.stem.rpartition("_")[2]
        if pid.isdigit() and not Path("/proc", pid).exists():
            file.unlink(missing_ok=True)


def post_fork(_server: Any, _worker: Any) -> None:
    """Let a worker die with its arbiter: else it holds the port for some seconds after the arbiter was killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def child_exit(_server: Any, worker: Any) -> None:
    """Take a dead worker's live gauges out of /metrics."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
