"""A Kubernetes API server of our own: real HTTP, objects with versions, server-side apply, watches, logs, rollouts.

It speaks the part of the API that AiWorker uses, refuses what the API's own schemas do not know, and can be told to
fail: see Faults. Its controllers move on in a thread of their own. It is also the ingress: a request for a host that an
Ingress names is answered by the pod's program where a node runs it, else 200 if a pod behind it is ready, 503 if not;
404 for every other host.
"""

from __future__ import annotations

import copy
import http.server
import json
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.doubles.kubernetes.access import Access
from tests.doubles.kubernetes.apply import ApplyConflict, apply
from tests.doubles.kubernetes.controllers import Controllers
from tests.doubles.kubernetes.faults import APPLIED_FIRST, Faults
from tests.doubles.kubernetes.node import Node, NoLogs, ProcessNode, relay
from tests.doubles.kubernetes.paths import KINDS, Refusal, parse
from tests.doubles.kubernetes.schemas import why_invalid
from tests.doubles.kubernetes.statuses import Outcome
from tests.doubles.kubernetes.store import Object, Store, matches, now_text

__all__ = ["ClusterDouble", "Outcome"]

TOKEN = "token-of-the-double"
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

    def __enter__(self) -> ClusterDouble:
        cluster = self

        class Bound(_Connection):
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

    def _control(self) -> None:
        pause = TICK_SECONDS
        while not self.is_over.wait(pause):
            began = time.thread_time()
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


class _Connection(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    double: ClusterDouble
    # Head and body are two writes: with Nagle's algorithm the second would wait for the first one's receipt.
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if "Authorization" not in self.headers and not self.path.startswith(("/api", "/version")):
            self._be_ingress()
            return
        what = f"{self.command} {self.path}"
        fault = self.double.faults.next(what)
        self.double.requests.append(what)
        if fault is not None and not self._suffer(fault, body):
            return
        try:
            self._answer(200, self._serve(body))
        except Refusal as refusal:
            self._refuse(refusal)

    do_POST = do_PATCH = do_DELETE = do_PUT = do_GET

    def _suffer(self, fault: str, body: bytes) -> bool:
        """Do the fault; whether the request is to be served all the same."""
        if fault in APPLIED_FIRST:
            try:
                self._serve(body)
            except Refusal as refusal:
                self._refuse(refusal)
                return False
        if fault == "slow":
            self.double.is_over.wait(0.1)
            return True
        if fault == "hang":
            self.double.is_over.wait(30)
        if fault in {"hang", "reset", "apply_then_reset"}:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return False
        if fault == "quota":
            self._refuse(Refusal(403, "Forbidden", "forbidden: exceeded quota: aiworker, requested: pods=1"))
            return False
        if fault == "not_ready":
            self._refuse(Refusal(403, "Forbidden", "forbidden: not yet ready to handle request"))
            return False
        status = int(fault.removeprefix("apply_then_"))
        reason = {403: "Forbidden", 409: "Conflict", 422: "Invalid", 429: "TooManyRequests"}.get(
            status, "InternalError"
        )
        message = f"scripted fault {status}"
        if status == 403:
            message = f'cannot {self.command} {self.path}: User "aiworker" is forbidden'
        self._refuse(Refusal(status, reason, message))
        return False

    def _refuse(self, refusal: Refusal) -> None:
        status = {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": refusal.message,
            "reason": refusal.reason, "code": refusal.status,
        }  # fmt: skip
        self._answer(refusal.status, status)

    def _answer(self, status: int, thing: Object | str | None) -> None:
        if thing is None:
            return
        body = thing.encode() if isinstance(thing, str) else json.dumps(thing).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(thing, str) else "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == 429:
            self.send_header("Retry-After", "7")
        self.end_headers()
        self.wfile.write(body)

    def _be_ingress(self) -> None:
        host = (self.headers.get("Host") or "").partition(":")[0]
        store = self.double.store
        with store.lock:
            routes = [one for one in store.all("ingresses") if one["spec"]["rules"][0]["host"] == host]
            status, address = 404, None
            for route in routes:
                namespace = route["metadata"]["namespace"]
                name = route["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"]
                service = store.get("services", namespace, name)
                chosen = ",".join(f"{k}={v}" for k, v in (service or {"spec": {}})["spec"].get("selector", {}).items())
                pods = store.all("pods", namespace, chosen) if service else []
                is_ready = any(pod.get("status", {}).get("phase") == "Running" for pod in pods)
                status = self.double.ingress_status if is_ready else 503
                addresses = (self.double.controllers.address_of(pod) for pod in pods)
                address = next(filter(None, addresses), None)
        status, said = relay(address + self.path, host) if address else (status, "ok" if status == 200 else "no")
        self._answer(status, said)

    def _serve(self, body: bytes) -> Object | str | None:
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refusal(401, "Unauthorized", "Unauthorized")
        if denial := self.double.access.refusal(self.command, url.path, url.query):
            raise Refusal(403, "Forbidden", denial)
        if (said := self.double.access.answer(self.command, url.path, body)) is not None:
            return said
        plural, namespace, name, sub = parse(url.path)
        with self.double.store.lock:
            if sub == "log":
                return self._log(namespace, name, query)
            if self.command == "GET" and name:
                return self._found(plural, namespace, name)
            if self.command == "GET" and query.get("watch") in {"1", "true", "True"}:
                pass
            elif self.command == "GET":
                return self._list(plural, namespace, query)
            elif self.command == "PATCH":
                return self._apply(plural, namespace, name, json.loads(body), query)
            elif self.command == "POST":
                return self._create(plural, namespace, json.loads(body), is_trial=query.get("dryRun") == "All")
            elif self.command == "DELETE":
                return self._delete(plural, namespace, name)
            else:
                raise Refusal(405, "MethodNotAllowed", f"{self.command} is not served by the double")
        self._watch(plural, namespace, query)
        return None

    def _found(self, plural: str, namespace: str, name: str) -> Object:
        found = self.double.store.get(plural, namespace, name)
        if found is None:
            raise Refusal(404, "NotFound", f'{plural} "{name}" not found')
        return copy.deepcopy(found)

    def _list(self, plural: str, namespace: str, query: dict[str, str]) -> Object:
        items = self.double.store.all(plural, namespace or None, query.get("labelSelector", ""))
        start, limit = int(query.get("continue", "0")), int(query.get("limit", "0")) or len(items)
        about = {"resourceVersion": str(self.double.store.version)}
        if start + limit < len(items):
            about["continue"] = str(start + limit)
        page = copy.deepcopy(items[start : start + limit])
        return {"kind": f"{KINDS[plural]}List", "apiVersion": "v1", "metadata": about, "items": page}

    def _require_namespace(self, plural: str, namespace: str) -> None:
        if plural == "namespaces":
            return
        found = self._found("namespaces", "", namespace)
        if "deletionTimestamp" in found["metadata"]:
            message = f"unable to create new content in namespace {namespace} because it is being terminated"
            raise Refusal(403, "Forbidden", message)

    def _apply(self, plural: str, namespace: str, name: str, manifest: Object, query: dict[str, str]) -> Object:
        store = self.double.store
        if self.headers.get("Content-Type") != "application/apply-patch+yaml" or "fieldManager" not in query:
            raise Refusal(415, "UnsupportedMediaType", "the double knows server-side apply only")
        current = store.get(plural, namespace, name)
        if current is None:
            self._require_namespace(plural, namespace)
        wanted_version = manifest["metadata"].pop("resourceVersion", None)
        if wanted_version and (current is None or current["metadata"]["resourceVersion"] != wanted_version):
            raise Refusal(409, "Conflict", "the object has been modified")
        key = (plural, namespace, name)
        try:
            merged, owners = apply(
                current, manifest, store.owners.get(key, {}), manager=query["fieldManager"],
                force=query.get("force") == "true",
            )  # fmt: skip
        except ApplyConflict as conflict:
            raise Refusal(409, "Conflict", f"Apply failed with 1 conflict: {conflict}") from conflict
        self._check(merged)
        if current is not None and plural == "jobs" and current["spec"] != merged["spec"]:
            raise Refusal(422, "Invalid", "spec.template: field is immutable")
        merged["metadata"]["managedFields"] = [
            {"manager": manager, "operation": "Apply", "apiVersion": merged["apiVersion"], "fieldsType": "FieldsV1"}
            for manager in sorted(owners)
        ]
        store.owners[key] = owners
        self.double.sent.append(copy.deepcopy(manifest))
        return copy.deepcopy(store.put(plural, merged))

    def _create(self, plural: str, namespace: str, manifest: Object, *, is_trial: bool) -> Object:
        self._require_namespace(plural, namespace)
        name = manifest["metadata"]["name"]
        if plural == "pods" and (denial := self.double.controllers.why_not_let_in(namespace, manifest)):
            raise Refusal(403, "Forbidden", denial)
        if self.double.store.get(plural, namespace, name) is not None:
            raise Refusal(409, "AlreadyExists", f'{plural} "{name}" already exists')
        self._check(manifest)
        if is_trial:
            return manifest
        self.double.sent.append(copy.deepcopy(manifest))
        return copy.deepcopy(self.double.store.put(plural, manifest))

    def _check(self, manifest: Object) -> None:
        if reason := why_invalid(manifest):
            raise Refusal(422, "Invalid", reason)

    def _delete(self, plural: str, namespace: str, name: str) -> Object:
        found = self._found(plural, namespace, name)
        if plural == "namespaces":

            def end(thing: Object) -> None:
                thing["metadata"]["deletionTimestamp"] = now_text()
                thing["status"] = {"phase": "Terminating"}

            if "deletionTimestamp" not in found["metadata"]:
                self.double.store.update(plural, found, end)
        else:
            self.double.store.remove(plural, namespace, name)
        return {"kind": "Status", "apiVersion": "v1", "status": "Success"}

    def _log(self, namespace: str, name: str, query: dict[str, str]) -> str:
        pod = self._found("pods", namespace, name)
        statuses = pod.get("status", {}).get("initContainerStatuses", []) + pod["status"].get("containerStatuses", [])
        container = next((one for one in statuses if one["name"] == query["container"]), None)
        if container is None or ("waiting" in container["state"] and query.get("previous") != "true"):
            raise Refusal(400, "BadRequest", f'container "{query["container"]}" in pod "{name}" is waiting to start')
        try:
            lines = self.double.controllers.log_of(pod, query["container"]).splitlines(keepends=True)
        except NoLogs as error:
            raise Refusal(500, "InternalError", str(error)) from error
        lines = lines[-int(query.get("tailLines", "1000000")) :]
        if query.get("timestamps") == "true":
            lines = [f"2026-01-01T00:00:{number:02}.0Z {line}" for number, line in enumerate(lines)]
        return "".join(lines)

    def _watch(self, plural: str, namespace: str, query: dict[str, str]) -> None:
        """Events after resourceVersion, as lines of JSON; ends after timeoutSeconds, as watches do."""
        store = self.double.store
        seen = int(query.get("resourceVersion", "0"))
        until = time.monotonic() + float(query.get("timeoutSeconds", "5"))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        while (left := until - time.monotonic()) > 0 and not self.double.is_over.is_set():
            with store.lock:
                events = [one for one in store.log if one[0] > seen and one[2][0] == plural]
                if not events:
                    store.changed.wait(min(left, 0.1))
            for version, kind, key, thing in events:
                seen = version
                if namespace in {"", key[1]} and matches(thing, query.get("labelSelector", "")):
                    self.wfile.write(json.dumps({"type": kind, "object": thing}).encode() + b"\n")
