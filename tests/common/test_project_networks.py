"""Which network each kind of a project's programs is given."""

from __future__ import annotations

import dataclasses

import pytest

from common.models import Project
from common.secrets.sealing import seal
from common.services.deployment.deployments import spec_of
from common.services.project_settings.project_resources import check_of
from common.values.egress import Egress, Network
from common.values.states import Environment

HOSTS = ["packages.example.com", "*.corp.example"]


def _project(egress: Egress) -> Project:
    return Project(
        id="p", slug="shop", namespace="shop-1", repository_owner="aiworker", default_branch="main", replicas=1,
        env_sealed=seal({}), secret_env_names=[], secrets_in_checks=[], secrets_in_previews=[],
        health_path="/", health_seconds={}, test_command="make test", cache_paths=[], services=[],
        is_restricted=False, egress=str(egress), egress_hosts=HOSTS,
    )  # fmt: skip


@pytest.mark.parametrize("egress", Egress)
def test_checks_and_previews_have_the_projects_network(egress: Egress) -> None:
    project, given = _project(egress), Network(egress, tuple(HOSTS))
    check = check_of(project, "c", "1" * 40)

    assert check is not None
    assert check.network == check.second_run().network == given
    assert spec_of(project, Environment.PREVIEW).network == given


@pytest.mark.parametrize("environment", [Environment.STAGING, Environment.PRODUCTION])
def test_what_people_use_reaches_every_public_address(environment: Environment) -> None:
    spec = spec_of(_project(Egress.NONE), environment)

    assert spec.network == Network(Egress.OPEN)
    assert dataclasses.replace(spec, network=Network()) == spec
