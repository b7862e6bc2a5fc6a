"""A node for the cluster double that does something: it runs our pods as processes.

Without a node the controllers let pods do as they are scripted, which is quick. `ProcessNode` is for whole stories: the
checkout runs as the container's own command does, with /source and /workspace led to folders of the pod's, then the
program in the checkout with the variables of its Secret, on a port of its own, probed as a kubelet probes. So do
agents, with /identity and /work led to folders of theirs. A check's container that reads reports runs beside it, and is
told to end when the check's has ended.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import requests

from tests.doubles.kubernetes.expansion import expanded
from tests.doubles.kubernetes.statuses import condition, image_id
from tests.doubles.kubernetes.store import Object, Store, now_text
from tests.ports import free_port

ROOT = Path(__file__).parents[3]
RESTART_SECONDS = 0.5
LOOK_SECONDS = 0.05
READY_LOOK_SECONDS = 0.2
CHECKOUT = "workers.checkouts.pod_start"
AGENT = "workers.runner"
GRACE_SECONDS = 30
"""For a pod that does not say how long it has to end."""
CLOSE_SECONDS = 10


class Node(Protocol):
    def takes(self, pod: Object) -> bool:
        """Whether this node says what becomes of the pod; the script of the test does so of the others."""

    def status(self, pod: Object) -> Object:
        """The pod's status now. The first call starts it. Never waits."""

    def log(self, pod: Object, container: str) -> str:
        """All that the container wrote."""

    def address(self, pod: Object) -> str | None:
        """Where its program answers, `http://…`; None if it does not."""

    def keep(self, uids: set[str]) -> None:
        """Of all pods only these are left."""

    def close(self) -> None: ...


class ProcessNode:
    """Runs the pods whose first container is our checkout, and agents. For one thread at a time; close() ends all."""

    def __init__(self) -> None:
        self._programs: dict[str, _Program] = {}
        self.store: Store | None = None

    def takes(self, pod: Object) -> bool:
        firsts, main = pod["spec"].get("initContainers", []), pod["spec"]["containers"][0]
        return any(CHECKOUT in one.get("command", []) for one in firsts) or AGENT in main.get("command", [])

    def status(self, pod: Object) -> Object:
        uid = pod["metadata"]["uid"]
        if uid not in self._programs:
            try:
                self._programs[uid] = _Program(pod, self._secret)
            except LookupError as error:
                waiting = {"waiting": {"reason": "CreateContainerConfigError", "message": str(error)}}
                return _status(pod, "Pending", checkout=waiting, main=_INITIALIZING)
        return self._programs[uid].status()

    def log(self, pod: Object, container: str) -> str:
        program = self._programs.get(pod["metadata"]["uid"])
        return program.said(container) if program else ""

    def address(self, pod: Object) -> str | None:
        program = self._programs.get(pod["metadata"]["uid"])
        return program.address if program else None

    def keep(self, uids: set[str]) -> None:
        gone = [self._programs.pop(uid) for uid in set(self._programs) - uids]
        for program in gone:
            program.end()

    def close(self) -> None:
        programs = list(self._programs.values())
        self._programs.clear()
        for program in programs:
            program.end(within_seconds=CLOSE_SECONDS)
        for program in programs:
            program.join(CLOSE_SECONDS)

    def _secret(self, namespace: str, name: str) -> dict[str, str]:
        assert self.store is not None
        found = self.store.get("secrets", namespace, name)
        if found is None:
            raise LookupError(f'secret "{name}" not found')
        return {key: base64.b64decode(value).decode() for key, value in found.get("data", {}).items()}


class _Program(threading.Thread):
    """One pod's containers, one after the other, in a thread that watches them."""

    def __init__(self, pod: Object, secret: Callable[[str, str], dict[str, str]]) -> None:
        super().__init__(name=pod["metadata"]["name"], daemon=True)
        self._pod = pod
        self._folder = Path(tempfile.mkdtemp(prefix="pod-"))
        self._over = threading.Event()
        self._grace_seconds = pod["spec"].get("terminationGracePeriodSeconds", GRACE_SECONDS)
        self._first: Object | None = next(iter(pod["spec"].get("initContainers", [])), None)
        firsts = {one["name"]: one for one in pod["spec"].get("initContainers", [])}
        self._setup: Object | None = firsts.get("setup")
        self._beside: Object | None = firsts.get("reports")
        self._beside_process: subprocess.Popen[bytes] | None = None
        self._main = pod["spec"]["containers"][0]
        self._env: dict[str, str] = {}
        namespace = pod["metadata"]["namespace"]
        for source in self._main.get("envFrom", []):
            self._env |= secret(namespace, source["secretRef"]["name"])
        for volume in pod["spec"]["volumes"]:
            (self._folder / volume["name"]).mkdir()
            if "secret" in volume:
                for key, value in secret(namespace, volume["secret"]["secretName"]).items():
                    (self._folder / volume["name"] / key).write_text(value)
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._checkout_code: int | None = None
        self._setup_code: int | None = None if self._setup else 0
        self._code: int | None = None
        self._restarts = 0
        self._is_ready = False
        self._began = now_text()
        self.start()

    @property
    def address(self) -> str | None:
        return f"http://127.0.0.1:{self._port}" if self._is_ready else None

    def end(self, *, within_seconds: float = math.inf) -> None:
        """An agent is told to end, and has as long as its pod says, but no longer than this; all else is killed at
        once. The folder goes when its thread ends."""
        self._grace_seconds = min(self._grace_seconds, within_seconds)
        self._over.set()

    def said(self, container: str) -> str:
        try:
            return (self._folder / f"{container}.log").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def status(self) -> Object:
        has_begun = self._checkout_code == 0
        status = self._status()
        if (process := self._beside_process) and self._beside:
            code = process.poll()
            state = {"running": {"startedAt": self._began}} if code is None else {"terminated": {"exitCode": code}}
            about = {"name": "reports", "image": self._beside["image"], "imageID": "", "restartCount": 0, "ready": True}
            status["initContainerStatuses"].append(about | {"state": state})
            if code is None and status["phase"] in {"Succeeded", "Failed"}:
                status["phase"] = "Running"
        return self._with_setup(self._setup, status) if self._setup and has_begun else status

    def _status(self) -> Object:
        if self._checkout_code is None:
            return _status(self._pod, "Pending", checkout={"running": {"startedAt": self._began}}, main=_INITIALIZING)
        if self._checkout_code:
            last = (self.said("checkout").strip().splitlines() or [""])[-1]
            ended = {"terminated": {"exitCode": self._checkout_code, "reason": "Error", "message": last}}
            phase = "Failed" if is_once(self._pod) else "Pending"
            return _status(self._pod, phase, checkout=ended, main=_INITIALIZING)
        if self._setup_code != 0:
            phase = "Failed" if self._setup_code and is_once(self._pod) else "Pending"
            return _status(self._pod, phase, checkout=_ENDED_WELL, main=_INITIALIZING)
        if self._code is None:
            running = {"running": {"startedAt": self._began}}
            return _status(
                self._pod, "Running", checkout=_ENDED_WELL, main=running, is_ready=self._is_ready,
                restarts=self._restarts, image_id=image_id(self._main["image"]) if self._is_ready else "",
            )  # fmt: skip
        ended = {"terminated": {"exitCode": self._code, "reason": "Error" if self._code else "Completed"}}
        if is_once(self._pod):
            phase = "Failed" if self._code else "Succeeded"
            return _status(self._pod, phase, checkout=_ENDED_WELL, main=ended)
        waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off restarting failed container"}}
        return _status(self._pod, "Running", checkout=_ENDED_WELL, main=waiting, last=ended, restarts=self._restarts)

    def _with_setup(self, setup: Object, status: Object) -> Object:
        """The status with that of the setup command's container."""
        state: Object = {"running": {"startedAt": self._began}}
        if self._setup_code is not None:
            last = (self.said("setup").strip().splitlines() or [""])[-1]
            state = {"terminated": {"exitCode": self._setup_code, "reason": "Error", "message": last}}
        about = {"name": "setup", "image": setup["image"], "imageID": "", "restartCount": 0, "ready": False}
        status["initContainerStatuses"].append(about | {"state": state})
        return status

    def run(self) -> None:
        try:
            ours = {"PYTHONPATH": str(ROOT)}
            self._checkout_code = self._wait(self._first, ROOT, ours) if self._first else 0
            where = self._folder / "workspace" / "code" if self._first else ROOT
            if self._beside and self._checkout_code == 0:
                self._beside_process = self._begin(self._beside, ROOT, ours)
                # A kubelet begins the next container some time after this one; here it would be at once.
                while self._beside_process.poll() is None and not _catches_term(self._beside_process.pid):
                    self._over.wait(0.01)
            if self._setup and self._checkout_code == 0:
                self._setup_code = self._wait(self._setup, where, self._env)
            while self._checkout_code == 0 and self._setup_code == 0 and not self._over.is_set():
                self._code = None
                code = self._wait(self._main, where, self._env if self._first else ours)
                self._is_ready, self._restarts, self._code = False, self._restarts + 1, code
                if is_once(self._pod):
                    self._end_beside()
                    break
                self._over.wait(RESTART_SECONDS)
            self._over.wait()
        finally:
            if self._beside_process and self._beside_process.poll() is None:
                _kill(self._beside_process)
            shutil.rmtree(self._folder, ignore_errors=True)

    def _end_beside(self) -> None:
        if self._beside_process:
            self._beside_process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._beside_process.wait(self._grace_seconds)
            _kill(self._beside_process)

    def _begin(self, container: Object, where: Path, more: dict[str, str]) -> subprocess.Popen[bytes]:
        env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"} | more
        env |= {one["name"]: self._led(one["value"]) for one in container.get("env", [])}
        # All pods share one machine's ports, so each has another, on loopback alone.
        env |= {"PORT": str(self._port), "HOST": "127.0.0.1"}
        parts = [expanded(part, env) for part in container["command"]]
        command = [sys.executable if part == "python" else self._led(part) for part in parts]
        if command[:2] == ["tini", "--"]:
            command = command[2:]  # of the image
        with (self._folder / f"{container['name']}.log").open("ab") as output:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *command], cwd=where, env=env, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def _wait(self, container: Object, where: Path, more: dict[str, str]) -> int:
        """Run a container to its end, or to the pod's. Returns its exit code."""
        process = self._begin(container, where, more)
        try:
            while process.poll() is None and not self._over.wait(self._pause()):
                self._probe(container)
        finally:
            if process.poll() is None and container.get("name") == "agent":
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(self._grace_seconds)
            code = _kill(process)
        return code if code >= 0 else 128 - code

    def _pause(self) -> float:
        return READY_LOOK_SECONDS if self._is_ready else LOOK_SECONDS

    def _probe(self, container: Object) -> None:
        probe = container.get("readinessProbe", {}).get("httpGet")
        if probe is None:
            return
        # Asked for as often as this, a session of `requests` would take most of what the tests of a cluster need.
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            connection.request("GET", probe["path"])
            self._is_ready = 200 <= connection.getresponse().status < 400
        except (OSError, http.client.HTTPException):
            self._is_ready = False
        finally:
            connection.close()

    def _led(self, text: str) -> str:
        """A path of the container's as it is here. A shell's line stays: it may begin with a path of ours."""
        if " " in text:
            return text
        for name in (volume["name"] for volume in self._pod["spec"]["volumes"]):
            if text == f"/{name}" or text.startswith(f"/{name}/"):
                return str(self._folder / name) + text[len(name) + 1 :]
        return text


def _catches_term(pid: int) -> bool:
    (caught,) = re.findall(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE) or ["0"]
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def _kill(process: subprocess.Popen[bytes]) -> int:
    """End the process and what it left behind: its container is gone, and all in it. Returns its exit code."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def relay(url: str, host: str) -> tuple[int, str]:
    """What a program answers, as an ingress hands it on; 502 where it does not."""
    try:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(url, headers={"Host": host}, timeout=30, allow_redirects=False)
        return answer.status_code, answer.text
    except requests.RequestException:
        return 502, "no answer"


def exit_code_of(status: Object) -> int | None:
    """How a Job's pod ended; None while it runs."""
    if status["phase"] not in {"Succeeded", "Failed"}:
        return None
    (container,) = status["containerStatuses"]
    return int(container["state"].get("terminated", {"exitCode": 1})["exitCode"])


def is_once(pod: Object) -> bool:
    return bool(pod["spec"].get("restartPolicy") == "Never")


def is_jobs(pod: Object) -> bool:
    return any(one["kind"] == "Job" for one in pod["metadata"].get("ownerReferences", []))


_INITIALIZING: Object = {"waiting": {"reason": "PodInitializing"}}
_ENDED_WELL: Object = {"terminated": {"exitCode": 0, "reason": "Completed"}}


def _status(
    pod: Object, phase: str, *, checkout: Object, main: Object, last: Object | None = None, is_ready: bool = False,
    restarts: int = 0, image_id: str = "",
) -> Object:  # fmt: skip
    container, first = pod["spec"]["containers"][0], next(iter(pod["spec"].get("initContainers", [])), None)
    about: Object = {
        "name": container["name"], "image": container["image"], "imageID": image_id, "ready": is_ready,
        "restartCount": restarts, "state": main,
    }  # fmt: skip
    if last is not None:
        about["lastState"] = last
    status: Object = {
        "phase": phase,
        "conditions": [condition("Ready", str(is_ready), "", ""), condition("PodScheduled", "True", "", "")],
        "containerStatuses": [about],
    }
    if first is not None:
        before = {
            "name": first["name"], "image": first["image"], "imageID": "", "restartCount": 0,
            "ready": checkout is _ENDED_WELL, "state": checkout,
        }  # fmt: skip
        status["initContainerStatuses"] = [before]
    return status
