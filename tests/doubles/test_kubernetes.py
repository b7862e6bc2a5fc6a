"""The cluster double does what an API server does: owners of fields, versions, watches that end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.doubles.kubernetes import ClusterDouble
from tests.doubles.kubernetes.cluster import TOKEN

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def cluster() -> Iterator[ClusterDouble]:
    with ClusterDouble() as double:
        apply(double, "/api/v1/namespaces/default", {"apiVersion": "v1", "kind": "Namespace"}, "default")
        yield double


def ask(cluster: ClusterDouble, method: str, path: str, **more: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {TOKEN}", **more.pop("headers", {})}
    return requests.request(method, cluster.url + path, headers=headers, timeout=60, **more)


def apply(
    cluster: ClusterDouble, path: str, manifest: dict[str, Any], name: str, *, manager: str = "us", force: bool = False
) -> requests.Response:
    whole = {**manifest, "metadata": {"name": name, **manifest.get("metadata", {})}}
    query = f"?fieldManager={manager}&force={str(force).lower()}"
    headers = {"Content-Type": "application/apply-patch+yaml"}
    return ask(cluster, "PATCH", path + query, data=json.dumps(whole), headers=headers)


def config_map(**values: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "default"}, "data": values}


def test_the_same_value_is_shared_and_another_is_a_conflict(cluster: ClusterDouble) -> None:
    apply(cluster, f"{MAPS}/m", config_map(a="1"), "m")

    assert apply(cluster, f"{MAPS}/m", config_map(a="1"), "m", manager="them").status_code == 200
    refused = apply(cluster, f"{MAPS}/m", config_map(a="2"), "m", manager="them")
    assert (refused.status_code, refused.json()["reason"]) == (409, "Conflict")
    assert '"us"' in refused.json()["message"]
    assert apply(cluster, f"{MAPS}/m", config_map(a="2"), "m", manager="them", force=True).json()["data"] == {"a": "2"}


def test_a_field_that_its_last_owner_names_no_more_is_removed(cluster: ClusterDouble) -> None:
    apply(cluster, f"{MAPS}/m", config_map(a="1", b="2"), "m")
    apply(cluster, f"{MAPS}/m", config_map(b="2"), "m", manager="them")

    assert apply(cluster, f"{MAPS}/m", config_map(), "m").json()["data"] == {"b": "2"}


def test_what_the_schemas_do_not_know_is_refused(cluster: ClusterDouble) -> None:
    refused = apply(cluster, f"{MAPS}/m", {**config_map(), "dta": {}}, "m")

    assert refused.status_code == 422
    assert "dta" in refused.json()["message"]


def test_a_watch_tells_what_changed_and_ends(cluster: ClusterDouble) -> None:
    before = ask(cluster, "GET", MAPS).json()["metadata"]["resourceVersion"]
    apply(cluster, f"{MAPS}/m", config_map(a="1"), "m")
    ask(cluster, "DELETE", f"{MAPS}/m")
    watched = ask(cluster, "GET", f"{MAPS}?watch=1&timeoutSeconds=0.2&resourceVersion={before}")

    assert [json.loads(line)["type"] for line in watched.text.splitlines()] == ["ADDED", "DELETED"]
