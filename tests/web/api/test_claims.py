"""What a run's agent is given when it claims it."""

from __future__ import annotations

import pytest

from tests.web.api.test_drivers import a_provider
from tests.web.world import World, put


@pytest.mark.slow
def test_a_claim_has_all_that_the_project_and_the_providers_give(world: World) -> None:
    a_provider("anthropic")
    project = world.project(has_repository=True)
    put(
        type(project), project.id, setup_command="npm ci", cache_paths=["node_modules"],
        services=[{"kind": "postgresql", "version": "16"}, {"kind": "redis"}],
        egress="registries", egress_hosts=["packages.example.com"],
    )  # fmt: skip
    world.task(project, driver="claude", model="claude-sonnet-4-5")
    agent, _agent_id = world.agent(drivers=["claude"])

    _run, claim = world.claim(agent)

    assert (claim["driver"], claim["model"], claim["setupCommand"]) == ("claude", "claude-sonnet-4-5", "npm ci")
    assert claim["cachePaths"] == ["node_modules"]
    assert claim["services"] == [{"kind": "postgresql", "version": "16"}, {"kind": "redis", "version": None}]
    assert claim["attachments"] == []
    assert claim["network"] == {"egress": "registries", "hosts": ["packages.example.com"]}
    assert set(claim["models"]["addresses"]) == {"anthropic"}
    assert claim["models"]["token"].startswith("awm_")
    assert claim["models"]["token"] != claim["run"]["token"]
    assert agent.post("/api/runner/claim", json={}).json == claim
