"""The Kubernetes API over the official client, with plain dicts: the only module that imports `kubernetes`.

Paths, manifests and answers are JSON as the API has it: the client's typed models cost a second and refuse fields that
they do not know yet. Nothing is retried here: the job that called is the retry. Every refusal becomes one of the two
errors of providers, by what the server said.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

import urllib3
from kubernetes import client, config

from common.errors import AccessDenied, Misconfigured, ProviderRefused, ProviderUnavailable
from common.providers.runtime import permissions
from common.providers.runtime.objects import KubeObject
from common.providers.runtime.reasons import SOON

FIELD_MANAGER = "aiworker"
CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 10.0


class Cluster:
    """One API server. Threads may share it: every call takes a connection of its own from the client's pool."""

    def __init__(
        self, configuration: client.Configuration, *, timeout_seconds: tuple[float, float] | None = None
    ) -> None:
        # urllib3 would try three times by itself, also what is not safe to repeat.
        configuration.retries = urllib3.Retry(0, redirect=0, raise_on_redirect=False, raise_on_status=False)
        self._client = client.ApiClient(configuration)
        self._timeout_seconds = timeout_seconds or (CONNECT_SECONDS, ANSWER_SECONDS)

    def close(self) -> None:
        self._client.rest_client.close()

    def read(self, path: str, **query: str) -> KubeObject | None:
        """The object or list at the path; None where there is none."""
        found = self._ask("GET", path, query=query)
        return None if found is None else _object(found)

    def items(self, path: str, *, labels: str) -> list[KubeObject]:
        """All objects of a collection that carry these labels (a label selector). Empty where it does not exist."""
        found: list[KubeObject] = []
        page = ""
        while True:
            query = {"labelSelector": labels, "limit": "500"} | ({"continue": page} if page else {})
            answer = self.read(path, **query)
            if answer is None:
                return found
            found += answer.get("items", [])
            page = answer.get("metadata", {}).get("continue", "")
            if not page:
                return found

    def text(self, path: str, **query: str) -> str | None:
        """What a path answers that is no JSON, such as a container's log; None where there is none."""
        found = self._ask("GET", path, query=query, accept="*/*")
        return None if found is None else found.decode("utf-8", "replace")

    def apply(self, path: str, manifest: KubeObject, *, field_manager: str = FIELD_MANAGER) -> KubeObject:
        """Server-side apply. Fields of another manager are never taken: a conflict is ProviderUnavailable."""
        query = {"fieldManager": field_manager, "force": "false"}
        answer = self._ask("PATCH", path, query=query, body=manifest, content_type="application/apply-patch+yaml")
        if answer is None:
            raise ProviderUnavailable(f"the cluster has no place for {path} (any more)")
        return _object(answer)

    def create(self, path: str, manifest: KubeObject, *, is_trial: bool = False) -> bool:
        """Make an object in the collection; False where one of its name is there already. is_trial: nothing is kept."""
        query = {"fieldManager": FIELD_MANAGER} | ({"dryRun": "All"} if is_trial else {})
        try:
            answer = self._ask("POST", path, query=query, body=manifest, content_type="application/json")
        except _Exists:
            return False
        if answer is None:
            raise ProviderUnavailable(f"the cluster has no place for {path} (any more)")
        return True

    def review(self, path: str, question: KubeObject) -> KubeObject:
        """What the API says to a question, such as whether this account may do something. Nothing is kept there."""
        answer = self._ask("POST", path, body=question, content_type="application/json")
        if answer is None:
            raise ProviderUnavailable(f"the Kubernetes API has no {path}")
        return _object(answer)

    def delete(self, path: str) -> None:
        """Have the object and what it owns removed. Succeeds where there is none; the removal may take a while."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        self._ask("DELETE", path, body=body, content_type="application/json")

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: KubeObject | None = None,
        content_type: str | None = None,
        accept: str = "application/json",
    ) -> bytes | None:
        headers = {"Accept": accept} | ({"Content-Type": content_type} if content_type else {})
        try:
            request = self._client.param_serialize(
                method, path, query_params=list((query or {}).items()), header_params=headers, body=body,
                auth_settings=["BearerToken"],
            )  # fmt: skip
            answer: Any = self._client.call_api(*request, _request_timeout=self._timeout_seconds)
            try:
                said = bytes(answer.read() or b"")
            finally:
                answer.response.release_conn()
        except (urllib3.exceptions.HTTPError, client.ApiException, OSError) as error:
            raise ProviderUnavailable(f"the Kubernetes API did not answer {method} {path}: {_short(error)}") from error
        if answer.status == 404:
            return None
        if answer.status == 403:
            self._deny(method, path, _told(said)[0])
        if not 200 <= answer.status <= 299:
            _refuse(f"{method} {path}", answer.status, said, answer.headers.get("Retry-After"))
        return said

    def _deny(self, method: str, path: str, message: str) -> NoReturn:
        """Tell what a 403 means: the quota is a fact, a lack of rights may pass."""
        words = f"the Kubernetes API answered {method} {path} with 403: {message[:500]}"
        if any(says in message for says in SOON):
            raise ProviderUnavailable(words)
        if "exceeded quota" in message:
            raise ProviderRefused(words, code="quota")
        remedy = "; see `aiworker doctor` for what the account must be allowed"
        raise AccessDenied(words + remedy, is_granted=self._is_granted(method, path))

    def _is_granted(self, method: str, path: str) -> bool:
        """Whether the API's own review says that the account may do this. False where that can't be asked."""
        if path == permissions.REVIEWS:
            return False
        asked = permissions.rights_of_request(method, path)
        try:
            reviews = [self.review(permissions.REVIEWS, permissions.review(right)) for right in asked]
        except (ProviderUnavailable, ProviderRefused):
            return False
        return bool(asked) and all(permissions.is_allowed(answer) for answer in reviews)


class _Exists(ProviderUnavailable):
    """409 with the reason AlreadyExists."""


def _refuse(what: str, status: int, said: bytes, retry_after: str | None) -> None:
    message, reason = _told(said)
    words = f"the Kubernetes API answered {what} with {status}: {message[:500]}"
    if status == 409 and reason == "AlreadyExists":
        raise _Exists(words)
    if status in {400, 405, 406, 413, 415, 422}:
        raise ProviderRefused(words, code="invalid")
    # 401 is here too: a token that has just been renewed, or one that an operator will repair.
    after = float(retry_after) if retry_after and retry_after.isdigit() else None
    raise ProviderUnavailable(words, retry_after_seconds=after)


def _told(said: bytes) -> tuple[str, str]:
    """Message and reason of a refusal."""
    try:
        told = json.loads(said)
        return str(told.get("message", "")), str(told.get("reason", ""))
    except (ValueError, AttributeError):
        return said[:200].decode("utf-8", "replace"), ""


def _object(said: bytes) -> KubeObject:
    try:
        found = json.loads(said)
    except ValueError as error:
        raise ProviderUnavailable(f"the Kubernetes API answered what is no JSON: {said[:80]!r}") from error
    if not isinstance(found, dict):
        raise ProviderUnavailable(f"the Kubernetes API answered what is no object: {said[:80]!r}")
    return found


def _short(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:300]


# The client's typing covers the API, not how it is configured.
_load: Any = config


def connect(kubeconfig: str | None, *, timeout_seconds: tuple[float, float] | None = None) -> Cluster:
    """A client by this kubeconfig file, or, with None, by the account of the pod that this process runs in."""
    configuration = client.Configuration()
    try:
        if kubeconfig is None:
            _load.load_incluster_config(client_configuration=configuration)
        else:
            _load.load_kube_config(config_file=kubeconfig, client_configuration=configuration)
    except (config.ConfigException, OSError, ValueError) as error:
        where = f"KUBECONFIG={kubeconfig}" if kubeconfig else "the pod's own account (set KUBECONFIG outside a cluster)"
        raise Misconfigured(f"AIWORKER_RUNTIME=kubernetes can't use {where}: {_short(error)}") from error
    return Cluster(configuration, timeout_seconds=timeout_seconds)
