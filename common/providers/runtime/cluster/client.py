"""The Kubernetes API over the official client, with plain dicts: the only module that imports `kubernetes`.

Paths, manifests and responses are the API's JSON: importing the client's typed models takes a second, and they reject
fields of newer API versions. Nothing is retried here; the calling job retries. Every error response becomes
ProviderUnavailable or ProviderRefused.
"""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn

import urllib3
from kubernetes import client, config
from urllib3.connection import HTTPSConnection
from urllib3.util import ssl_

from common.errors import AccessDenied, Misconfigured, ProviderRefused, ProviderUnavailable
from common.network.trust import accept_plain_authorities
from common.providers.runtime.cluster import permissions
from common.providers.runtime.cluster_objects.reasons import SOON
from common.providers.runtime.cluster_objects.types import KubeObject

FIELD_MANAGER = "aiworker"
CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 10.0


class _Connection(HTTPSConnection):
    def connect(self) -> None:
        # One for each connection, as by default: the base reads the certificates into it, which may have been renewed.
        context = ssl_.create_urllib3_context(cert_reqs=ssl_.resolve_cert_reqs(self.cert_reqs))
        if not (self.ca_certs or self.ca_cert_data):
            context.load_default_certs()
        self.ssl_context = accept_plain_authorities(context)
        super().connect()


class _Pool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Connection


_POOLS = {"http": urllib3.HTTPConnectionPool, "https": _Pool}


class Cluster:
    """Client of one API server. Thread-safe: every call takes its own connection from the client's pool."""

    def __init__(
        self, configuration: client.Configuration, *, timeout_seconds: tuple[float, float] | None = None
    ) -> None:
        # By default urllib3 makes three tries, even for requests that are not safe to repeat.
        configuration.retries = urllib3.Retry(0, redirect=0, raise_on_redirect=False, raise_on_status=False)
        self._client = client.ApiClient(configuration)
        self._client.rest_client.pool_manager.pool_classes_by_scheme = _POOLS
        self._timeout_seconds = timeout_seconds or (CONNECT_SECONDS, ANSWER_SECONDS)
        self._ahead = timedelta()

    def now(self) -> datetime:
        """The time by the clock of the API server, as its last answer said: the times in a status are not by ours."""
        return datetime.now(UTC) + self._ahead

    def close(self) -> None:
        self._client.rest_client.close()

    def version(self) -> KubeObject:
        """Return the API server's /version; raise ProviderUnavailable if it has none."""
        found = self.read("/version")
        if found is None:
            raise ProviderUnavailable("the Kubernetes API has no /version; check that the address is an API server")
        return found

    def read(self, path: str, **query: str) -> KubeObject | None:
        """Return the object or list at the path; None if it does not exist."""
        found = self._ask("GET", path, query=query)
        return None if found is None else _object(found)

    def items(self, path: str, *, labels: str) -> list[KubeObject]:
        """Return all objects of a collection that match a label selector. Empty if the collection does not exist."""
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
        """Return a plain-text response, such as a container's log; None if it does not exist."""
        found = self._ask("GET", path, query=query, accept="*/*")
        return None if found is None else found.decode("utf-8", "replace")

    def apply(self, path: str, manifest: KubeObject, *, field_manager: str = FIELD_MANAGER) -> KubeObject:
        """Server-side apply without force: a conflict with another field manager raises ProviderUnavailable."""
        query = {"fieldManager": field_manager, "force": "false"}
        answer = self._ask("PATCH", path, query=query, body=manifest, content_type="application/apply-patch+yaml")
        if answer is None:
            raise ProviderUnavailable(f"the cluster has no {path}, or its namespace was deleted")
        return _object(answer)

    def create(self, path: str, manifest: KubeObject, *, is_trial: bool = False) -> KubeObject | None:
        """Create an object in the collection and return it; None if its name exists already. is_trial: a dry run."""
        query = {"fieldManager": FIELD_MANAGER} | ({"dryRun": "All"} if is_trial else {})
        try:
            answer = self._ask("POST", path, query=query, body=manifest, content_type="application/json")
        except _Exists:
            return None
        if answer is None:
            raise ProviderUnavailable(f"the cluster has no {path}, or its namespace was deleted")
        return _object(answer)

    def review(self, path: str, question: KubeObject) -> KubeObject:
        """Post a review, such as whether this account may do something, and return the answer. Stores nothing."""
        answer = self._ask("POST", path, body=question, content_type="application/json")
        if answer is None:
            raise ProviderUnavailable(f"the Kubernetes API has no {path}")
        return _object(answer)

    def delete(self, path: str) -> None:
        """Delete the object and its dependents in the background. Succeeds if it does not exist."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        answer = self._ask("DELETE", path, body=body, content_type="application/json")
        if answer is not None:
            # A page, as of a proxy, is no word of the cluster: the object may still be there.
            _object(answer)

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
                content = bytes(answer.read() or b"")
            finally:
                answer.response.release_conn()
        except (urllib3.exceptions.HTTPError, client.ApiException, OSError) as error:
            raise ProviderUnavailable(f"the Kubernetes API did not answer {method} {path}: {_short(error)}") from error
        with contextlib.suppress(TypeError, ValueError):  # a proxy may leave the date out, or send another text
            self._ahead = parsedate_to_datetime(answer.headers.get("Date")) - datetime.now(UTC)
        if answer.status == 404:
            return None
        if answer.status == 403:
            self._deny(method, path, _message_and_reason(content)[0])
        if not 200 <= answer.status <= 299:
            _refuse(f"{method} {path}", answer.status, content, answer.headers.get("Retry-After"))
        return content

    def _deny(self, method: str, path: str, message: str) -> NoReturn:
        """Raise the error for a 403: a temporary state, the quota, or missing rights, which an operator may grant."""
        words = f"the Kubernetes API answered {method} {path} with 403: {message[:500]}"
        if any(fragment in message for fragment in SOON):
            raise ProviderUnavailable(words)
        if "exceeded quota" in message:
            raise ProviderRefused(words, code="quota")
        remedy = "; `aiworker doctor` lists the missing permissions of the account"
        raise AccessDenied(words + remedy, is_granted=self._is_granted(method, path))

    def _is_granted(self, method: str, path: str) -> bool:
        """Whether an access review says that the account may do this. False if the review itself fails."""
        if path == permissions.REVIEWS:
            return False
        asked = permissions.rights_of_request(method, path)
        try:
            reviews = [self.review(permissions.REVIEWS, permissions.review(right)) for right in asked]
        except (ProviderUnavailable, ProviderRefused):
            return False
        return bool(asked) and all(permissions.is_allowed(answer) for answer in reviews)


class _Exists(ProviderUnavailable):
    """The API answered 409 with the reason AlreadyExists."""


def _refuse(what: str, status: int, content: bytes, retry_after: str | None) -> None:
    message, reason = _message_and_reason(content)
    words = f"the Kubernetes API answered {what} with {status}: {message[:500]}"
    if status == 409 and reason == "AlreadyExists":
        raise _Exists(words)
    if status in {400, 405, 406, 413, 415, 422}:
        raise ProviderRefused(words, code="no_dry_run" if "does not support dry run" in message else "invalid")
    # This includes 401: the token may just have been renewed, or an operator will replace it.
    after = float(retry_after) if retry_after and retry_after.isdecimal() else None
    raise ProviderUnavailable(words, retry_after_seconds=after)


def _message_and_reason(content: bytes) -> tuple[str, str]:
    """Return the message and reason of an error response."""
    try:
        refusal = json.loads(content)
        return str(refusal.get("message", "")), str(refusal.get("reason", ""))
    except (ValueError, AttributeError):
        return content[:200].decode("utf-8", "replace"), ""


def _object(content: bytes) -> KubeObject:
    try:
        found = json.loads(content)
    except ValueError as error:
        raise ProviderUnavailable(f"the Kubernetes API's answer is not JSON: {content[:80]!r}") from error
    if not isinstance(found, dict):
        raise ProviderUnavailable(f"the Kubernetes API's answer is not a JSON object: {content[:80]!r}")
    return found


def _short(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:300]


# The client has type annotations for the API but not for its configuration.
_load: Any = config


def connect(kubeconfig: str | None, *, timeout_seconds: tuple[float, float] | None = None) -> Cluster:
    """Return a client for this kubeconfig file; None: for the service account of this process's pod.

    Raises Misconfigured if the configuration can't be loaded.
    """
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
