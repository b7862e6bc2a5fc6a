"""A Kubernetes API server of our own: real HTTP, objects with versions, server-side apply, watches, logs, rollouts.

It speaks the part of the API that AiWorker uses, refuses what the API's own schemas do not know, and can be told to
fail: see Faults. Its controllers move on in a thread of their own. It is also the ingress: a request for a host that an
Ingress names is answered by the pod's program where a node runs it, else 200 if a pod behind it is ready, 503 if not;
404 for every other host.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import http.server
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.doubles.kubernetes.access import TOKEN, Access
from tests.doubles.kubernetes.connection import Connection
from tests.doubles.kubernetes.controllers import Controllers
from tests.doubles.kubernetes.faults import Faults
from tests.doubles.kubernetes.node import Node, ProcessNode
from tests.doubles.kubernetes.statuses import Outcome
from tests.doubles.kubernetes.store import Object, Store
from tests.tls import Certificate, make_certificate, tls_in_front_of

__all__ = ["TOKEN", "ClusterDouble", "Outcome"]

TICK_SECONDS = 0.01
LONGEST_TICK_SECONDS = 0.05


class ClusterDouble:
    """One cluster. `with ClusterDouble() as cluster:` serves until the end of the block."""

    def __init__(self, *, speed: float = 200.0, node: Node | None = None) -> None:
        self.store = Store()
        if isinstance(node, ProcessNode):
            node.store = self.store
        self.controllers = Controllers(self.store, speed=speed, node=node)
        self.faults = Faults()
        self.access = Access()
        self.requests: list[str] = []
        self.sent: list[Object] = []
        self.is_over = threading.Event()
        self.ingress_status = 200
        self._turn = threading.Lock()

    def __enter__(self) -> ClusterDouble:
        cluster = self

        class Bound(Connection):
            double = cluster

        self._server = _Server(("127.0.0.1", 0), Bound)
        self._threads = [
            threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}),
            threading.Thread(target=self._control),
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self._server.shutdown()
        for thread in self._threads:
            thread.join()
        self._server.close_all()
        self._server.server_close()
        self.controllers.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def kubeconfig(self, directory: Path) -> str:
        """Write a kubeconfig for this cluster; returns its path."""
        described = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "double",
            "contexts": [{"name": "double", "context": {"cluster": "double", "user": "aiworker"}}],
            "clusters": [{"name": "double", "cluster": {"server": self.url}}],
            "users": [{"name": "aiworker", "user": {"token": TOKEN}}],
        }
        path = directory / "kubeconfig"
        path.write_text(json.dumps(described))
        return str(path)

    @contextlib.contextmanager
    def secure_kubeconfig(self, directory: Path, paths: Certificate | None = None) -> Iterator[str]:
        """The same over TLS: kubectl sends its token in no other way. paths: the server's; None: made here."""
        paths = paths or make_certificate(directory)
        with tls_in_front_of(self._server.server_address[1], paths) as port:
            plain = Path(self.kubeconfig(directory))
            described = json.loads(plain.read_text())
            authority = base64.b64encode(paths.authority.read_bytes()).decode()
            about = {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": authority}
            described["clusters"][0]["cluster"] = about
            secure = directory / "kubeconfig-tls"
            secure.write_text(json.dumps(described))
            yield str(secure)

    def script(self, needle: str, kind: str, **how: Any) -> None:
        """Pods that name the needle anywhere in their manifest do so; the newest script wins."""
        with self.store.lock:
            self.controllers.outcomes.append((needle, Outcome(kind, **how)))

    def names(self, plural: str, namespace: str | None = None) -> list[str]:
        with self.store.lock:
            return [one["metadata"]["name"] for one in self.store.all(plural, namespace)]

    def object(self, plural: str, namespace: str, name: str) -> Object:
        with self.store.lock:
            found = self.store.get(plural, namespace, name)
            assert found is not None, f"no {plural} {namespace}/{name}"
            return copy.deepcopy(found)

    @contextlib.contextmanager
    def standing_still(self) -> Iterator[None]:
        """Its controllers do nothing meanwhile: what is being deleted stays so."""
        with self._turn:
            yield

    def _control(self) -> None:
        pause = TICK_SECONDS
        while not self.is_over.wait(pause):
            began = time.thread_time()
            with self._turn:
                self.controllers.tick()
            # The more there is to look at, the less often: at most an eighth of a processor.
            pause = min(max(TICK_SECONDS, 7 * (time.thread_time() - began)), LONGEST_TICK_SECONDS)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 64

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def close_all(self) -> None:
        """End the connections that clients keep open, so that their threads end."""
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that hung up is no failure of the double's.
        pass
