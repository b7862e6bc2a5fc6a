"""No two projects have one host in a cluster, whatever their names are."""

from __future__ import annotations

from flask.testing import FlaskClient

from common.providers.runtime.places import PRODUCTION, STAGING, Hosts
from common.values.app import App, Space


def _hosts(namespace: str) -> set[str]:
    hosts = Hosts("apps.test", is_https=False)
    return {hosts.host(App(Space(namespace, "p"), name)) for name in (STAGING, PRODUCTION)}


def test_a_slug_that_would_give_two_projects_one_host_is_numbered(maintainer: FlaskClient) -> None:
    """The host of such a project's production is its whole namespace, which people see and may give as a name."""
    namespace = maintainer.post("/api/projects", json={"name": "Staging shop"}).json["project"]["k8sNamespace"]
    name = namespace.removeprefix("staging-")

    made = maintainer.post("/api/projects", json={"name": name}).json["project"]

    assert made["giteaRepoUrl"].endswith(f"/{name}-2")
    assert len(_hosts(namespace) | _hosts(made["k8sNamespace"])) == 4
