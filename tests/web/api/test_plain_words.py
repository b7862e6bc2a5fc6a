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
        "No driver reads plain words here, and no agent has a coding CLI: run `aiworker drivers install claude` where "
        "the agents run, and an administrator can add a provider of models. Without a model, describe the work "
        "as steps.",
    )

    beat(agent, drivers=["claude", "scripted"], findings=[FOLLOWS_STEPS])
    world.task(project, description=STEPS)
    assert unscheduled(words)
    assert "no provider of models is enabled for claude" in (get(Task, words.id).error or "")

    a_provider("anthropic")
    world.task(project, description=STEPS)
    assert scheduled(words).driver == "claude"
