"""Which drivers there are, what agents say of them, and which driver and model does a task."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from common.jobs.catalogue import PREPARE_RUN, SCHEDULE_TASKS
from common.models import Agent, ModelProvider, Run, Task
from common.settings import settings
from common.transaction import Transaction, transactional
from common.values.runs.drivers import KNOWN_DRIVERS
from common.values.states import Role
from tests import builders
from tests.web.world import World, all_of, events, get, put, run_jobs

NAMES = [driver.name for driver in KNOWN_DRIVERS]
STEPS = "Do this:\n\n```steps\n- say: Hello\n```\n"
NO_CLAUDE = {"name": "claude", "canWork": False, "says": "It is not installed: aiworker drivers install claude"}


@transactional
def a_provider(tx: Transaction, api: str, *models: str, is_enabled: bool = True) -> None:
    tx.add(
        ModelProvider(
            name=f"{api}-{len(models)}", api=api, base_url="http://127.0.0.1:9", login="none", models=list(models),
            prices={}, is_enabled=is_enabled, created_by="max", created_at=tx.now(), updated_at=tx.now(),
        )
    )  # fmt: skip


def register(world: World, **values: Any) -> Any:
    token = world.client_of(f"ada{len(world.users)}", Role.ADMIN).post("/api/agents/enrolment-tokens", json={})
    holder = builders.client_with(world.app, token.json["enrolmentToken"]["token"])
    body = {"podName": "pod", "capabilities": [], "version": "1.0", **values}
    return holder.post("/api/runner/register", json=body)


def beat(agent: FlaskClient, **values: Any) -> Any:
    return agent.post("/api/runner/heartbeat", json={"runIds": [], **values})


def scheduled(task: Task) -> Run:
    """The run that the scheduler starts for the task."""
    run_jobs(SCHEDULE_TASKS)
    (run,) = all_of(Run, Run.task_id == task.id)
    return run


def unscheduled(task: Task) -> bool:
    run_jobs(SCHEDULE_TASKS)
    return all_of(Run, Run.task_id == task.id) == []


# What agents say


def test_an_agent_registers_its_drivers_and_its_first_is_its_driver(world: World) -> None:
    finding = {"name": "claude", "canWork": True, "says": "Found.", "version": "2.1.331"}
    reply = register(world, drivers=["claude", "scripted"], findings=[finding], slots=3)

    agent = reply.json["agent"]
    assert (reply.status_code, agent["driver"], agent["drivers"]) == (201, "claude", ["claude", "scripted"])
    assert (agent["findings"], agent["error"], agent["slots"]) == ([finding], None, 3)
    assert register(world, driver="scripted").json["agent"]["drivers"] == ["scripted"]


def test_an_agent_that_can_work_with_none_says_why_and_gets_no_run(world: World) -> None:
    task = world.task(world.project(has_repository=True))
    agent, agent_id = world.agent(driver=None, drivers=[], findings=[NO_CLAUDE])

    shown = world.client.get(f"/api/agents/{agent_id}").json["agent"]
    assert (shown["status"], shown["drivers"]) == ("error", [])
    assert "aiworker drivers install claude" in shown["error"]
    assert unscheduled(task)

    assert beat(agent).status_code == 200
    assert get(Agent, agent_id).state == "error"
    beat(agent, drivers=["scripted"], findings=[])
    assert (get(Agent, agent_id).state, get(Agent, agent_id).error) == ("idle", None)
    assert scheduled(task).driver == "scripted"


def test_all_drivers_are_listed_with_who_offers_them(world: World) -> None:
    a_provider("openai")
    a_provider("anthropic", is_enabled=False)
    _first, first = world.agent(drivers=["codex", "scripted"], findings=[NO_CLAUDE])
    _second, gone = world.agent(drivers=["codex"])
    put(Agent, gone, state_="offline")

    listed = world.client_of("vic", Role.VIEWER).get("/api/drivers").json["drivers"]

    assert [driver["name"] for driver in listed] == NAMES
    by_name = {driver["name"]: driver for driver in listed}
    assert by_name["codex"] == {
        "name": "codex", "title": "Codex", "api": "openai", "hasProvider": True, "agents": 1, "findings": [],
    }  # fmt: skip
    assert (by_name["claude"]["hasProvider"], by_name["claude"]["agents"]) == (False, 0)
    assert by_name["claude"]["findings"] == [
        {"agentId": first, "podName": "pod-1", "canWork": False, "says": NO_CLAUDE["says"], "version": None}
    ]
    assert (by_name["scripted"]["hasProvider"], by_name["scripted"]["agents"]) == (True, 1)


# What people name


def test_an_unknown_driver_is_refused_with_those_that_there_are(world: World) -> None:
    project = world.project()
    for name in ("telepathy", "Claude"):
        reply = world.client.post("/api/tasks", json={"projectId": project.id, "title": "New", "driver": name})
        assert (reply.status_code, reply.json["details"]) == (
            400,
            {"field": "driver", "message": f"Must be one of: {', '.join(NAMES)}"},
        )
    assert all_of(Task) == []


def test_a_model_that_no_provider_lists_is_refused_with_those_that_there_are(world: World) -> None:
    project = world.project()

    def create(model: str) -> Any:
        return world.client.post("/api/tasks", json={"projectId": project.id, "title": "New", "model": model})

    assert create("not a model").json["details"] == {"field": "model", "message": "Not a model's name"}
    assert create("claude-sonnet-4-5").status_code == 201
    a_provider("anthropic", "claude-sonnet-4-5", "claude-opus-4-5")
    assert create("claude-opus-4-5").json["task"]["model"] == "claude-opus-4-5"
    refused = create("gpt-5")
    assert (refused.status_code, refused.json["details"]) == (
        400,
        {"field": "model", "message": "Must be one of: claude-opus-4-5, claude-sonnet-4-5"},
    )
    changed = world.client.patch(f"/api/projects/{project.id}", json={"model": "gpt-5"})
    assert (changed.status_code, changed.json["details"]["field"]) == (400, "model")
    a_provider("openai")
    assert create("gpt-5").status_code == 201
    changed = world.client.patch(f"/api/projects/{project.id}", json={"model": "gpt-5", "driver": "codex"})
    assert (changed.json["project"]["model"], changed.json["project"]["driver"]) == ("gpt-5", "codex")


# Who does a task, with what


@pytest.mark.slow
def test_the_tasks_driver_comes_before_the_projects_and_that_before_the_platforms(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.agent(drivers=["command", "codex", "claude", "gemini"], slots=10)
    for api in ("anthropic", "openai", "gemini"):
        a_provider(api)
    monkeypatch.setenv("AIWORKER_DRIVER", "gemini")
    monkeypatch.setenv("AIWORKER_MODEL", "gemini-pro")
    settings.cache_clear()
    named = world.project("Named", driver="codex", model="gpt-5")
    plain = world.project("Plain")

    tasks = [
        world.task(named, driver="claude", model="opus"), world.task(named, driver="claude"), world.task(named),
        world.task(plain),
    ]  # fmt: skip
    run_jobs(SCHEDULE_TASKS)

    runs = {run.task_id: (run.driver, run.model) for run in all_of(Run)}
    assert [runs[task.id] for task in tasks] == [
        ("claude", "opus"), ("claude", None), ("codex", "gpt-5"), ("gemini", "gemini-pro"),
    ]  # fmt: skip


def test_a_named_driver_waits_for_a_provider_and_says_so(world: World) -> None:
    project = world.project(has_repository=True)
    task = world.task(project, driver="claude")
    world.agent(drivers=["claude", "scripted"], slots=5)
    assert unscheduled(task)
    shown = world.client.get(f"/api/tasks/{task.id}").json["task"]
    assert (shown["state"], shown["error"]) == (
        "backlog",
        "The driver claude needs a provider of models with the API anthropic, and none is enabled: an administrator "
        "can add one.",
    )
    number = len(events("task:updated", of=task.id))
    world.task(project)
    assert unscheduled(task)
    assert len(events("task:updated", of=task.id)) == number

    a_provider("anthropic")
    world.task(project)
    run_jobs(SCHEDULE_TASKS, PREPARE_RUN)
    assert (get(Task, task.id).state, get(Task, task.id).error) == ("in_progress", None)


def test_what_nobody_named_goes_to_the_first_driver_that_has_a_provider(world: World) -> None:
    project = world.project(has_repository=True)
    world.agent(drivers=["scripted", "claude", "codex"], slots=10)
    assert scheduled(world.task(project)).driver == "scripted"

    a_provider("openai")
    assert scheduled(world.task(project)).driver == "codex"
    assert scheduled(world.task(project, description=STEPS)).driver == "scripted"
    assert scheduled(world.task(project, description="Write `steps` into ```steps.txt```")).driver == "codex"


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
