"""What `kubectl apply --dry-run=client` asks a cluster for: which kinds there are. No object is there, none is kept."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

KINDS = {
    "v1": [
        ("Namespace", "namespaces", False), ("ServiceAccount", "serviceaccounts", True), ("Secret", "secrets", True),
        ("ConfigMap", "configmaps", True), ("Service", "services", True), ("Pod", "pods", True),
    ],
    "apps/v1": [("Deployment", "deployments", True), ("StatefulSet", "statefulsets", True)],
    "batch/v1": [("Job", "jobs", True)],
    "policy/v1": [("PodDisruptionBudget", "poddisruptionbudgets", True)],
    "networking.k8s.io/v1": [("Ingress", "ingresses", True), ("NetworkPolicy", "networkpolicies", True)],
    "rbac.authorization.k8s.io/v1": [
        ("ClusterRole", "clusterroles", False), ("ClusterRoleBinding", "clusterrolebindings", False),
    ],
}  # fmt: skip


def _answers() -> dict[str, Any]:
    groups = []
    found: dict[str, Any] = {"/api": {"kind": "APIVersions", "versions": ["v1"]}}
    for version, kinds in KINDS.items():
        group = version.rpartition("/")[0]
        served = {"groupVersion": version, "version": version.rpartition("/")[2]}
        if group:
            groups.append({"name": group, "versions": [served], "preferredVersion": served})
        listed = [
            {"name": plural, "singularName": "", "namespaced": is_namespaced, "kind": kind,
             "verbs": ["create", "delete", "get", "list", "patch", "update"]}
            for kind, plural, is_namespaced in kinds
        ]  # fmt: skip
        path = f"/apis/{version}" if group else f"/api/{version}"
        found[path] = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": listed}
    return found | {"/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}}


class _Connection(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answers = _answers()

    def do_GET(self) -> None:
        said = self.answers.get(self.path.partition("?")[0])
        status = 404 if said is None else 200
        missing = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
        body = json.dumps(missing if said is None else said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@contextmanager
def empty_cluster(folder: Path) -> Iterator[Path]:
    """The kubeconfig of a cluster that has all kinds and no object. Whoever writes there is answered 501."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Connection)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    described = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "empty",
        "contexts": [{"name": "empty", "context": {"cluster": "empty", "user": "nobody"}}],
        "clusters": [{"name": "empty", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}],
        "users": [{"name": "nobody", "user": {}}],
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(described))
    try:
        yield path
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
