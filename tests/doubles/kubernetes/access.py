"""What the cluster says about itself and about its caller: its version, its classes, what the account may do."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.kubernetes.schemas import why_invalid
from tests.providers.runtime_permissions import rights_asked

Object = dict[str, Any]

TOKEN = "token-of-the-double"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
INGRESS_CLASSES = "/apis/networking.k8s.io/v1/ingressclasses"
RUNTIME_CLASSES = "/apis/node.k8s.io/v1/runtimeclasses"


@dataclass
class Access:
    """denied: (verb, resource) that the account may not, `pods/log` for a part. is_cold: the server has only just been
    started and has not read its roles yet: it denies everything, reviews too. default_class: one of the
    ingress_classes, or None."""

    version: str = "v1.33.0"
    denied: set[tuple[str, str]] = field(default_factory=set)
    is_cold: bool = False
    ingress_classes: list[str] = field(default_factory=lambda: ["nginx"])
    default_class: str | None = "nginx"
    runtime_classes: list[str] = field(default_factory=lambda: ["gvisor"])

    def answer(self, method: str, path: str, body: bytes) -> Object | None:
        """None where the path is none of these, or there is no such object."""
        if (method, path) == ("GET", "/version"):
            major, minor = self.version.removeprefix("v").split(".")[:2]
            return {"major": major, "minor": minor, "gitVersion": self.version}
        if (method, path) == ("POST", REVIEWS):
            return self._review(json.loads(body))
        if (method, path) == ("GET", INGRESS_CLASSES):
            return {"kind": "IngressClassList", "items": [self._ingress_class(name) for name in self.ingress_classes]}
        name = path.removeprefix(f"{RUNTIME_CLASSES}/")
        if method == "GET" and path.startswith(RUNTIME_CLASSES) and name in self.runtime_classes:
            return {"kind": "RuntimeClass", "metadata": {"name": name}, "handler": "runsc"}
        return None

    def refusal(self, method: str, path: str, query: str) -> str | None:
        """Why the account may not ask this, in the API's words; None if it may. The version is everybody's to see."""
        if path == "/version" or not (self.is_cold or self.denied):
            return None
        for group, resource, verb in sorted(rights_asked([f"{method} {path}?{query}"])) or [("", "reviews", "create")]:
            if self.is_cold or (verb, resource) in self.denied:
                what = f'cannot {verb} resource "{resource}" in API group "{group}"'
                return f'{resource} is forbidden: User "aiworker" {what} at the cluster scope'
        return None

    def _review(self, asked: Object) -> Object:
        reason = why_invalid({"metadata": {}, **asked})
        about = asked["spec"]["resourceAttributes"]
        resource = "/".join(part for part in (about["resource"], about.get("subresource")) if part)
        is_allowed = reason is None and (about["verb"], resource) not in self.denied
        return {**asked, "status": {"allowed": is_allowed} | ({"evaluationError": reason} if reason else {})}

    def _ingress_class(self, name: str) -> Object:
        is_default = str(name == self.default_class).lower()
        about = {"name": name, "annotations": {"ingressclass.kubernetes.io/is-default-class": is_default}}
        return {"kind": "IngressClass", "metadata": about, "spec": {"controller": "k8s.io/ingress-nginx"}}
