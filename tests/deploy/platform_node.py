"""A node for the cluster double that runs AiWorker's own pods: what deploy/ says is what is started here.

Real, each as a process with the environment of its ConfigMap and Secret: `migrate`, the first `web` pod (its first
container too), MariaDB for `mysql`, Redis for `redis`; and each command that is run in a pod. Every other pod says that
it is ready and runs nothing: all of them together are more than a machine of the tests carries. Names of Services and
of what is outside lead to this machine, since there is no cluster's network.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pymysql
import redis
import requests

from common.machine.processes.children import PARENT_DEATH_COMMAND
from tests.deploy.manifests import Manifests, Object, environment_of
from tests.deploy.typed_programs import path_with
from tests.doubles.kubernetes.node import is_jobs
from tests.doubles.kubernetes.statuses import condition
from tests.doubles.kubernetes.store import Store, now_text
from tests.doubles.kubernetes.streams import Running, started
from tests.ports import free_port
from tests.servers import ROOT, mariadb_server, redis_server

COMPONENT = "app.kubernetes.io/component"
DATABASE = "mysql"
CACHE = "redis"
WEB = "web"
MIGRATION = "migrate"


class PlatformNode:
    """A Node and a Shell. elsewhere: what a text of the settings is here, such as an address outside of the cluster.

    Set `store` before its first pod. Not for several threads at once, but for `start`.
    """

    def __init__(self, folder: Path, elsewhere: Mapping[str, str], more: Mapping[str, str]) -> None:
        self.store: Store | None = None
        self._folder = folder
        self._path = path_with(folder / "bin", "aiworker")
        self._socket = folder / "mysqld.sock"
        self._elsewhere = dict(elsewhere)
        self._more = more
        """Variables that every container of ours gets besides."""
        self._servers: dict[str, contextlib.ExitStack] = {}
        self._programs: dict[str, subprocess.Popen[bytes]] = {}
        self._stores: set[str] = set()
        """Of these there is a server."""
        self._ready: set[str] = set()
        self._web = ""
        self._looks = requests.Session()
        self._looks.trust_env = False
        self.web_url = f"http://127.0.0.1:{free_port()}"
        # This machine, by a name that a pod on another one might use.
        self._elsewhere["http://web.aiworker.svc:3000"] = self.web_url.replace("127.0.0.1", "127.1")

    def takes(self, pod: Object) -> bool:
        return COMPONENT in pod["metadata"].get("labels", {})

    def status(self, pod: Object) -> Object:
        component, uid = pod["metadata"]["labels"][COMPONENT], pod["metadata"]["uid"]
        if component in {DATABASE, CACHE}:
            if uid not in self._servers:
                self._servers[uid] = self._serve(component, self._environment(pod, pod["spec"]["containers"][0]))
            return _status(pod, is_ready=True)
        if component == MIGRATION or (component == WEB and self._is_the_one(pod)):
            if not {DATABASE, CACHE} <= self._stores:
                return _status(pod, is_ready=False)
            if uid not in self._programs:
                self._programs[uid] = self._begin(pod)
            code = self._programs[uid].poll()
            if component == MIGRATION and code:
                del self._programs[uid]  # restartPolicy: OnFailure
            return _status(pod, is_ready=code is None and self._answers(uid), code=code)
        return _status(pod, is_ready=True)

    def log(self, pod: Object, container: str) -> str:
        file = self._folder / f"{pod['metadata']['name']}.log"
        return file.read_text() if file.exists() else ""

    def address(self, pod: Object) -> str | None:
        return self.web_url if pod["metadata"]["uid"] in self._ready else None

    def keep(self, uids: set[str]) -> None:
        for uid in set(self._programs) - uids:
            _end(self._programs.pop(uid))
            self._ready.discard(uid)
        for uid in set(self._servers) - uids:
            self._servers.pop(uid).close()

    def close(self) -> None:
        self.keep(set())
        self._looks.close()

    def start(self, pod: Object, container: str, command: Sequence[str], *, is_tty: bool) -> Running:
        spec = next(one for one in pod["spec"]["containers"] if one["name"] == container)
        env = self._environment(pod, spec)
        if pod["metadata"]["labels"][COMPONENT] == DATABASE:
            env["HOME"] = str(self._folder)  # with .my.cnf, which says where the server is here
        return started(command, env=env, where=ROOT, is_tty=is_tty)

    def _is_the_one(self, pod: Object) -> bool:
        """Whether this pod of web is the one that really runs: the first, while it is there."""
        assert self.store is not None
        pods = self.store.all("pods", pod["metadata"]["namespace"], f"{COMPONENT}={WEB}")
        if self._web not in {one["metadata"]["uid"] for one in pods}:
            self._web = pod["metadata"]["uid"]
        return bool(self._web == pod["metadata"]["uid"])

    def _environment(self, pod: Object, container: Object) -> dict[str, str]:
        assert self.store is not None
        namespace = pod["metadata"]["namespace"]
        with self.store.lock:
            held = [*self.store.all("configmaps", namespace), *self.store.all("secrets", namespace)]
        found = environment_of(container, Manifests("", [one for one in held if "data" in one]))
        own = self._folder / pod["metadata"]["name"]
        own.mkdir(exist_ok=True)
        given = {name: self._led(value, own) for name, value in found.items()} | self._more
        given.pop("PROMETHEUS_MULTIPROC_DIR", None)  # a volume in memory
        # Pods share this machine's ports, and its processors.
        ours = {"AIWORKER_PORT": self.web_url.rpartition(":")[2], "WEB_CONCURRENCY": "1"}
        return {"PATH": self._path, "LANG": "C.UTF-8", **given, **ours}

    def _led(self, value: str, own: Path) -> str:
        """A value of the settings as it is on this machine."""
        if value.startswith("/data/"):
            return str(own) + value.removeprefix("/data")
        for text, here in self._elsewhere.items():
            value = value.replace(text, here)
        return value

    def _serve(self, component: str, env: Mapping[str, str]) -> contextlib.ExitStack:
        stack = contextlib.ExitStack()
        if component == DATABASE:
            server = stack.enter_context(mariadb_server(f"--socket={self._socket}"))
            _make_database(self._socket, env)
            (self._folder / ".my.cnf").write_text(f"[client]\nsocket={self._socket}\n")
            self._elsewhere["@mysql/"] = f"@127.0.0.1:{server.port}/"
        else:
            address = stack.enter_context(redis_server())
            with redis.Redis(unix_socket_path=address.removeprefix("unix://")) as client:
                client.config_set("requirepass", env["REDIS_PASSWORD"])
            wanted = f"redis://:{env['REDIS_PASSWORD']}@redis:6379/0"
            self._elsewhere[wanted] = address.replace("unix://", f"unix://:{env['REDIS_PASSWORD']}@")
        self._stores.add(component)
        return stack

    def _begin(self, pod: Object) -> subprocess.Popen[bytes]:
        """Its first container, then its own, as one process: both are lines for a shell."""
        containers = [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
        lines = [one["args"][2] for one in containers if one["args"][:2] == ["sh", "-c"]]
        assert len(lines) == len(containers), pod["metadata"]["name"]
        with (self._folder / f"{pod['metadata']['name']}.log").open("ab") as output:
            return subprocess.Popen(
                [*PARENT_DEATH_COMMAND, "sh", "-c", " && ".join(lines)], cwd=ROOT, stdin=subprocess.DEVNULL,
                env=self._environment(pod, containers[-1]), stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def _answers(self, uid: str) -> bool:
        if uid not in self._ready:
            with contextlib.suppress(requests.RequestException):
                if self._looks.get(f"{self.web_url}/api/health/ready", timeout=5).status_code == 200:
                    self._ready.add(uid)
        return uid in self._ready


def _make_database(socket_path: Path, env: Mapping[str, str]) -> None:
    """What the image's own first start does."""
    name, user, password = (env[f"MARIADB_{key}"] for key in ("DATABASE", "USER", "PASSWORD"))
    with pymysql.connect(unix_socket=str(socket_path), user="root") as connection, connection.cursor() as cursor:
        cursor.execute(f"create database `{name}` character set utf8mb4")
        cursor.execute("create user %s@'%%' identified by %s", (user, password))
        cursor.execute(f"grant all on `{name}`.* to %s@'%%'", (user,))


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _status(pod: Object, *, is_ready: bool, code: int | None = None) -> Object:
    """code: how its program ended, None while it runs."""
    container = pod["spec"]["containers"][0]
    state: Object = {"running": {"startedAt": pod["metadata"]["creationTimestamp"]}}
    phase = "Running"
    if code is not None and is_jobs(pod) and code == 0:
        state = {"terminated": {"exitCode": code, "reason": "Completed", "finishedAt": now_text()}}
        phase = "Succeeded"
    about = {
        "name": container["name"], "image": container["image"], "imageID": "", "ready": is_ready, "restartCount": 0,
        "state": state,
    }  # fmt: skip
    ready = condition("Ready", str(is_ready), "", "")
    ended = {"terminated": {"exitCode": 0, "reason": "Completed"}}
    firsts = [
        {"name": one["name"], "image": one["image"], "imageID": "", "ready": True, "restartCount": 0, "state": ended}
        for one in pod["spec"].get("initContainers", [])
    ]
    return {
        "phase": phase, "conditions": [ready], "containerStatuses": [about], "initContainerStatuses": firsts
    }  # fmt: skip
