"""Tasks in plain words where no agent can read them: they wait and say why, instead of failing."""

from __future__ import annotations

from common.models import Task
from tests.web.api.test_drivers import NO_CLAUDE, STEPS, a_provider, beat, scheduled, unscheduled
from tests.web.world import World, get

FOLLOWS_STEPS = {"name": "scripted", "canWork": True, "says": "It needs no program."}


def test_words_wait_for_a_driver_that_reads_them_and_say_so(world: World) -> None:
    project = world.project(has_repository=True)
    agent, _agent_id = world.agent(drivers=["scripted"], findings=[FOLLOWS_STEPS, NO_CLAUDE], slots=5)
    words, steps = world.task(project), world.task(project, description=STEPS)

    assert scheduled(steps).driver == "scripted"
    shown = world.client.get(f"/api/tasks/{words.id}").json["task"]
    assert (shown["state"], shown["error"]) == (
        "backlog",
        "It waits for a driver that reads plain words. Run `aiworker drivers install claude` where the agents run, and "
        "add a model provider; or write it as steps.",
    )

    beat(agent, drivers=["claude", "scripted"], findings=[FOLLOWS_STEPS])
    world.task(project, description=STEPS)
    assert unscheduled(words)
    assert "An administrator can add a model provider for claude" in (get(Task, words.id).error or "")

    a_provider("anthropic")
    world.task(project, description=STEPS)
    assert scheduled(words).driver == "claude"
