"""The cluster double does what an API server does: owners of fields, versions, watches that end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests

from tests.doubles.kubernetes import ClusterDouble
from tests.doubles.kubernetes.cluster import TOKEN
from tests.doubles.kubernetes.store import CLOCK
from tests.providers.runtime_contract import until

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


def test_an_equal_apply_changes_no_version(cluster: ClusterDouble) -> None:
    first = apply(cluster, f"{MAPS}/m", config_map(a="1"), "m").json()["metadata"]
    second = apply(cluster, f"{MAPS}/m", config_map(a="1"), "m").json()["metadata"]
    third = apply(cluster, f"{MAPS}/m", config_map(a="2"), "m").json()["metadata"]

    assert first["resourceVersion"] == second["resourceVersion"] < third["resourceVersion"]


def test_a_stale_version_is_a_conflict(cluster: ClusterDouble) -> None:
    stale = apply(cluster, f"{MAPS}/m", config_map(a="1"), "m").json()["metadata"]["resourceVersion"]
    apply(cluster, f"{MAPS}/m", config_map(a="2"), "m")
    late = config_map(a="3")
    late["metadata"]["resourceVersion"] = stale

    assert apply(cluster, f"{MAPS}/m", late, "m").status_code == 409


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


def test_selectors_choose_by_labels(cluster: ClusterDouble) -> None:
    for name, labels in {"one": {"a": "1"}, "two": {"a": "2"}, "three": {}}.items():
        labelled = config_map()
        labelled["metadata"]["labels"] = labels
        apply(cluster, f"{MAPS}/{name}", labelled, name)

    def chosen(selector: str) -> list[str]:
        listed = ask(cluster, "GET", MAPS, params={"labelSelector": selector}).json()["items"]
        return [one["metadata"]["name"] for one in listed]

    assert chosen("a=1") == ["one"]
    assert chosen("a") == ["one", "two"]
    assert chosen("a,a!=1") == ["two"]
    assert chosen("!a") == ["three"]


def test_a_namespace_ends_some_time_after_it_was_deleted(cluster: ClusterDouble) -> None:
    apply(cluster, f"{MAPS}/m", config_map(a="1"), "m")
    ask(cluster, "DELETE", "/api/v1/namespaces/default")

    until(lambda: ask(cluster, "GET", "/api/v1/namespaces/default").status_code == 404)
    assert ask(cluster, "GET", f"{MAPS}/m").status_code == 404


def test_nobody_is_served_without_the_token(cluster: ClusterDouble) -> None:
    assert requests.get(cluster.url + "/version", timeout=60).status_code == 401


SHOP = "/apis/apps/v1/namespaces/default/deployments/shop"


def apply_shop(cluster: ClusterDouble, version: int = 1, *, replicas: int = 2) -> None:
    container = {"name": "app", "image": f"registry.test/shop:{version}"}
    template = {"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "shop"}}, "template": template}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": "default"}, "spec": spec}
    assert apply(cluster, SHOP, deployment, "shop").ok


def available(cluster: ClusterDouble) -> int:
    return int(ask(cluster, "GET", SHOP).json().get("status", {}).get("availableReplicas", 0))


def tick(cluster: ClusterDouble, times: int = 3) -> None:
    for _ in range(times):
        cluster.controllers.tick()


def test_a_deployment_whose_pods_are_all_not_ready_keeps_them(cluster: ClusterDouble) -> None:
    apply_shop(cluster)
    until(lambda: available(cluster) == 2)
    pods = cluster.names("pods", "default")
    with cluster.standing_still():
        cluster.script("registry.test/shop", "never_ready")
        tick(cluster)

    assert available(cluster) == 0
    assert cluster.names("pods", "default") == pods


def test_an_older_version_keeps_its_pods_until_others_are_available(cluster: ClusterDouble) -> None:
    apply_shop(cluster)
    until(lambda: available(cluster) == 2)
    before = set(cluster.names("pods", "default"))
    with cluster.standing_still():
        cluster.script("registry.test/shop", "never_ready")
        tick(cluster)
        apply_shop(cluster, version=2)
        tick(cluster)

        assert len(before & set(cluster.names("pods", "default"))) == 2

        cluster.script("registry.test/shop:2", "healthy")
    until(lambda: available(cluster) == 2 and not before & set(cluster.names("pods", "default")))


def test_what_goes_on_has_the_same_version_a_minute_later(
    cluster: ClusterDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply_shop(cluster)
    until(lambda: available(cluster) == 2)
    with cluster.standing_still():
        tick(cluster)
        version = cluster.store.version
        monkeypatch.setattr(CLOCK, "ahead", timedelta(minutes=1), raising=False)
        tick(cluster)

        assert cluster.store.version == version


@pytest.mark.parametrize("number", range(3))
def test_of_a_smaller_deployment_the_pods_that_are_ready_stay(cluster: ClusterDouble, number: int) -> None:
    apply_shop(cluster, replicas=3)
    until(lambda: available(cluster) == 3)
    with cluster.standing_still():
        ready = cluster.names("pods", "default")[number]
        cluster.script("registry.test/shop", "never_ready")
        pod = cluster.object("pods", "default", ready)
        cluster.store.update("pods", pod, lambda one: one["metadata"]["labels"].update(stays="well"))
        cluster.script('"stays": "well"', "healthy")
        tick(cluster)
        apply_shop(cluster, replicas=1)
        tick(cluster)

        assert cluster.names("pods", "default") == [ready]


def test_a_jobs_log_is_whole_however_often_it_is_read_meanwhile(cluster: ClusterDouble) -> None:
    command = ["sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo $i; done"]
    container = {"name": "count", "image": "registry.test/count:1", "command": command}
    template = {"metadata": {}, "spec": {"restartPolicy": "Never", "containers": [container]}}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"namespace": "default"},
        "spec": {"template": template},
    }
    path = "/apis/batch/v1/namespaces/default/jobs/count"
    assert apply(cluster, path, job, "count").ok
    (pod,) = until(lambda: cluster.names("pods", "default"))
    log = f"/api/v1/namespaces/default/pods/{pod}/log?container=count"
    while not ask(cluster, "GET", path).json().get("status", {}).get("conditions"):
        for _ in range(20):
            cluster.controllers.log_of(cluster.object("pods", "default", pod), "count")

    assert ask(cluster, "GET", log).text.split() == [str(number) for number in range(1, 20001)]


def test_a_pod_of_nobody_runs(cluster: ClusterDouble) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": "default"},
        "spec": {"containers": [{"name": "app", "image": "registry.test/shop:1"}]},
    }
    path = "/api/v1/namespaces/default/pods/alone"
    assert apply(cluster, path, pod, "alone").ok

    until(lambda: ask(cluster, "GET", path).json().get("status", {}).get("phase") == "Running")
