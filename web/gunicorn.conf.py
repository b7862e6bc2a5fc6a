"""gunicorn's configuration for the API, the page, git and the sockets.

`aiworker up` and the Procfile use it; they pass the address and the number of processes as arguments.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import signal
import sys
import time
from pathlib import Path

from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker

from common.machine.locks import STARTING, is_locked
from common.machine.processes.open_files import allow_many_files
from common.settings import settings


def _is_in_memory(directory: Path) -> bool:
    """Whether the directory is on a file system in memory. Creates it if it is missing."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    device = directory.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    mounts = (line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return any(mount[2] == number and mount[mount.index("-") + 1] in {"tmpfs", "ramfs"} for mount in mounts)


# The counters' files are mapped into memory: on a full disk, writing to them would end the process (SIGBUS).
_metrics = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
if _metrics and not _is_in_memory(Path(_metrics)):
    print(f"PROMETHEUS_MULTIPROC_DIR={_metrics} is not in memory; each process counts for itself", file=sys.stderr)
    del os.environ["PROMETHEUS_MULTIPROC_DIR"]

worker_class = "web.http.server.head_timeout.Worker"  # gevent, with a time limit for receiving a head
worker_connections = 10_000  # requests at once; sockets do not count once they are open
keepalive = 75
graceful_timeout = 5
timeout = 60
backlog = 2048
accesslog = None
errorlog = "-"
control_socket_disable = True  # it would be in the home directory, which may be read-only or shared
forwarded_allow_ips = "127.0.0.1,::1"
forwarder_headers = ""  # by default SCRIPT_NAME and PATH_INFO, with which a request gets past a proxy's rules for paths

_PR_SET_PDEATHSIG = 1
_LOOK_SECONDS = 0.01

allow_many_files()


def on_starting(_server: Arbiter) -> None:
    """Delete the counters of ended processes."""
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if not directory:
        return
    for file in Path(directory).glob("*.db"):
        pid = file.stem.rpartition("_")[2]
        if pid.isdigit() and not Path("/proc", pid).exists():
            file.unlink(missing_ok=True)


def post_fork(_server: Arbiter, _worker: Worker) -> None:
    """Have the kernel kill a worker when its arbiter dies: else it would hold the port for some seconds."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # Until the worker has imported the application, which makes hardly any garbage: see
    # common/machine/imports_without_gc.py.
    gc.disable()


def post_worker_init(worker: Worker) -> None:
    """Look for garbage from now on, and never among what the application consists of.

    Under `aiworker up`, wait until the database is ready: the launcher makes it so while the application is loaded.
    Requests wait in the socket's queue meanwhile. Then have it known that agents can be heard.
    """
    gc.freeze()
    gc.enable()
    while is_locked(settings().store.data_dir / STARTING):
        worker.notify()
        time.sleep(_LOOK_SECONDS)
    if takes_heartbeats(worker):
        # Not imported above: the arbiter reads this file before the worker replaces what blocks.
        importlib.import_module("web.http.server.heartbeat_reception").begin()


def takes_heartbeats(worker: Worker) -> bool:
    """Whether agents send their heartbeats to it: a relay has the same application, but gets WebSockets alone."""
    return "runner" in worker.wsgi.blueprints and worker.cfg.proc_name != "relay"


def child_exit(_server: Arbiter, worker: Worker) -> None:
    """Remove a dead worker's live gauges from /metrics."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        # Loaded here, as it reads the variable when it is loaded and most masters need no counters.
        importlib.import_module("prometheus_client.multiprocess").mark_process_dead(worker.pid)
