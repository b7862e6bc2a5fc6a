"""One connection of the cluster double: requests as HTTP, faults by script, the ingress and watches."""

from __future__ import annotations

import http.server
import json
import math
import socket
import struct
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from tests.doubles.kubernetes.access import TOKEN
from tests.doubles.kubernetes.faults import APPLIED_FIRST
from tests.doubles.kubernetes.node import relay
from tests.doubles.kubernetes.paths import Refusal, parse
from tests.doubles.kubernetes.store import Object, is_chosen
from tests.doubles.kubernetes.verbs import ApiRequest, Verbs

if TYPE_CHECKING:
    from tests.doubles.kubernetes.cluster import ClusterDouble


class Connection(http.server.BaseHTTPRequestHandler):
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
        if fault is not None and not self._apply_fault(fault, body):
            return
        try:
            self._answer(200, self._serve(body))
        except Refusal as refusal:
            self._refuse(refusal)

    do_POST = do_PATCH = do_DELETE = do_PUT = do_GET

    def _apply_fault(self, fault: str, body: bytes) -> bool:
        """Do the fault; whether the request is to be served all the same."""
        if fault in APPLIED_FIRST:
            try:
                self._serve(body)
            except Refusal as refusal:
                self._refuse(refusal)
                return False
        if fault == "hang":
            self.double.is_over.wait(30)
        if fault in {"hang", "reset", "apply_then_reset"}:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return False
        if fault == "page":
            self._answer(200, "<!doctype html><title>Maintenance</title>")
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
        """The answer; None where it was streamed."""
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refusal(401, "Unauthorized", "Unauthorized")
        if denial := self.double.access.refusal(self.command, url.path, url.query):
            raise Refusal(403, "Forbidden", denial)
        if (said := self.double.access.answer(self.command, url.path, body)) is not None:
            return said
        plural, namespace, name, part = parse(url.path)
        if self.command == "GET" and not name and query.get("watch") in {"1", "true", "True"}:
            self._watch(plural, namespace, query)
            return None
        asked = ApiRequest(
            self.command, plural, namespace, name, part, query, self.headers.get("Content-Type", ""), body
        )
        return Verbs(self.double.store, self.double.controllers, self.double.sent).serve(asked)

    def _watch(self, plural: str, namespace: str, query: dict[str, str]) -> None:
        """Events after resourceVersion, as lines of JSON; ends after timeoutSeconds, as watches do.

        What there is already is sent in any case, also when that time is over before the first look.
        """
        store = self.double.store
        seen = int(query.get("resourceVersion", "0"))
        until = time.monotonic() + float(query.get("timeoutSeconds", "5"))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        left = math.inf
        while left > 0 and not self.double.is_over.is_set():
            left = until - time.monotonic()
            with store.lock:
                events = [one for one in store.log if one[0] > seen and one[2][0] == plural]
                if not events and left > 0:
                    store.changed.wait(min(left, 0.1))
            for version, kind, key, thing in events:
                seen = version
                if namespace in {"", key[1]} and is_chosen(thing, query):
                    self.wfile.write(json.dumps({"type": kind, "object": thing}).encode() + b"\n")
