"""A node for the cluster double with a network between its pods, parted by NetworkPolicies: for the page's try of them.

Pods of the image `busybox` run their command by this machine's busybox, those of `nginx` a web server of Python's.
There are no addresses of pods: what a pod asks for goes through a proxy of its own, which finds Services by their names
and lets through what the policies of the namespace let in. What they keep out is never answered, as on a network that
drops it. So this shows that the page's commands try what they say; it shows nothing of a real network plugin.
"""

from __future__ import annotations

import http.server
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from urllib.parse import urlsplit

from common.machine.children import PARENT_DEATH_COMMAND
from tests.deploy.manifests import Object, takes
from tests.doubles.kubernetes.node import relay
from tests.doubles.kubernetes.statuses import condition
from tests.doubles.kubernetes.store import Store
from tests.ports import free_port


class NetworkNode:
    """Set `store` before its first pod."""

    def __init__(self) -> None:
        self.store: Store | None = None
        self._pods: dict[str, _Pod] = {}

    def takes(self, pod: Object) -> bool:
        return True

    def status(self, pod: Object) -> Object:
        uid = pod["metadata"]["uid"]
        if uid not in self._pods:
            self._pods[uid] = _Pod(pod, self)
        return self._pods[uid].status()

    def log(self, pod: Object, container: str) -> str:
        found = self._pods.get(pod["metadata"]["uid"])
        return found.said() if found else ""

    def address(self, pod: Object) -> str | None:
        found = self._pods.get(pod["metadata"]["uid"])
        return found.address if found else None

    def keep(self, uids: set[str]) -> None:
        for uid in set(self._pods) - uids:
            self._pods.pop(uid).end()

    def close(self) -> None:
        self.keep(set())

    def way(self, asking: Object, name: str) -> str | None:
        """Where a pod's request for this name is answered; None if it is kept out. LookupError for an unknown name."""
        assert self.store is not None
        with self.store.lock:
            namespace = asking["metadata"]["namespace"]
            service = self.store.get("services", namespace, name)
            if service is None:
                raise LookupError(name)
            selector = {"matchLabels": service["spec"]["selector"]}
            (target,) = [
                one for one in self.store.all("pods", namespace) if takes(selector, one["metadata"].get("labels", {}))
            ]
            policies = self.store.all("networkpolicies", namespace)
            return self.address(target) if _is_let_in(asking, target, policies) else None


def _is_let_in(asking: Object, target: Object, policies: list[Object]) -> bool:
    """Whether one of the policies that are about the target lets the other pod in, or none is about it."""
    about = [
        one["spec"]
        for one in policies
        if takes(one["spec"]["podSelector"], target["metadata"].get("labels", {}))
        and "Ingress" in one["spec"].get("policyTypes", ["Ingress"])
    ]
    rules = [rule for spec in about for rule in spec.get("ingress", [])]
    labels = asking["metadata"].get("labels", {})
    return not about or any(
        "from" not in rule or any(takes(peer["podSelector"], labels) for peer in rule["from"]) for rule in rules
    )


class _Pod:
    """One pod's program, and the proxy through which it reaches others."""

    def __init__(self, pod: Object, node: NetworkNode) -> None:
        self._pod = pod
        self._folder = Path(tempfile.mkdtemp(prefix="pod-"))
        container = pod["spec"]["containers"][0]
        self.address: str | None = None
        if container["image"] == "busybox":
            command = ["busybox", *container["args"]]
        else:
            port = free_port()
            command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
            self.address = f"http://127.0.0.1:{port}"
        self._is_over = threading.Event()
        self._proxy = _proxy_of(pod, node, self._is_over)
        self._thread = threading.Thread(target=self._proxy.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        env = {"PATH": os.environ["PATH"], "http_proxy": f"http://127.0.0.1:{self._proxy.server_address[1]}"}
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [*PARENT_DEATH_COMMAND, *command], cwd=self._folder, env=env, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT,
            )  # fmt: skip

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    def said(self) -> str:
        return self._log.read_text(errors="replace")

    def status(self) -> Object:
        code = self._process.poll()
        is_ready = code is None and self._listens()
        container = self._pod["spec"]["containers"][0]
        state: Object = {"running": {"startedAt": self._pod["metadata"]["creationTimestamp"]}}
        phase = "Running"
        if code is not None:
            state = {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed"}}
            phase = "Failed" if code else "Succeeded"
        about = {"name": container["name"], "image": container["image"], "imageID": "", "restartCount": 0}
        ready = condition("Ready", str(is_ready), "", "")
        statuses = [about | {"ready": is_ready, "state": state}]
        return {"phase": phase, "conditions": [ready], "containerStatuses": statuses}

    def _listens(self) -> bool:
        """Whether its server takes connections; a program that is no server is ready as it is."""
        if self.address is None:
            return True
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.1", int(self.address.rpartition(":")[2]))) == 0

    def end(self) -> None:
        self._is_over.set()
        self._process.kill()
        self._process.wait()
        self._proxy.shutdown()
        self._thread.join()
        self._proxy.server_close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _proxy_of(pod: Object, node: NetworkNode, is_over: threading.Event) -> http.server.ThreadingHTTPServer:
    class Gate(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            try:
                way = node.way(pod, url.hostname or "")
            except LookupError:
                self.send_error(502, f"bad address {url.hostname}")
                return
            if way is None:
                is_over.wait()  # nothing comes back
                return
            status, said = relay(way + url.path, url.hostname or "")
            self.send_response(status)
            self.send_header("Content-Length", str(len(said.encode())))
            self.end_headers()
            self.wfile.write(said.encode())

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gate)
    server.daemon_threads = True
    return server
