"""Real coding CLIs at a provider that is limited: gateway, runner and git are the real ones, jobs run in the test.

The limit comes in the middle of a run. It is longer than a short one, and over in seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from common.machine.text import camel_case
from common.models import Agent, Run, Task
from common.services.spend import model_providers
from common.services.spend.model_providers import NewProvider
from common.settings import settings
from common.values.claimed_run import ClaimedRun
from common.values.json_codec import decode
from tests.doubles.cli_dialects import DIALECTS
from tests.doubles.model_server import ModelServer, Scene
from tests.doubles.model_wire import Fault, Step
from tests.e2e.instance import wait_until
from tests.web.made import somebody
from tests.web.world import World, all_of, forget_providers, get, served
from tests.workers.runner.drivers.cli_runs import APIS, INSTALLED, MODELS, usable_program
from tests.workers.runner.places import sandboxes
from web.gateway.limit_book import book
from workers import sweeps
from workers.runner.attempt import Attempt, AttemptSettings
from workers.runner.drivers.offer import DriverOffer
from workers.runner.drivers.programs import PROGRAM_DRIVERS

pytestmark = pytest.mark.timeout(300)

SENTENCE = "TASK-1: write a greeting."
DONE = "It greets now."
TRIED = ("claude", "codex", "opencode")
"""Each takes refusals in a way of its own: by headers, never again, by the words in them."""
LIMIT = Fault(status=429, times=1, headers={"retry-after": "3", "x-should-retry": "false"}, message="Too many tokens")


def scenes(name: str, fault: Fault | None = LIMIT) -> tuple[Scene]:
    """The second of three calls has the fault."""
    cli = DIALECTS[name]
    write = cli.run("echo hola > greeting.txt", "I'll write it.")
    return (Scene(SENTENCE, (write, replace(cli.run("git add greeting.txt"), fault=fault), Step(DONE))),)


class Work:
    """A task, and an agent with one coding CLI, on a platform that is served at `url`."""

    def __init__(self, name: str, app: Flask, url: str, folder: Path) -> None:
        self.name, self.url, self.folder = name, url, folder
        driver = PROGRAM_DRIVERS[name]()
        usable_program(driver)
        self.offer = DriverOffer(programs={name: driver})
        self.offer.check()
        self.world = World(app)
        self.agent, self.agent_id = self.world.agent(driver=name)
        self.task_id = ""
        book.forget_all()

    def provider(self, name: str, server: ModelServer) -> str:
        """Add one, which is the server. Runs are given the first. Returns its id."""
        api = APIS[self.name]
        address = server.url + ("/v1" if api == "openai" else "")
        return model_providers.create_provider(NewProvider(name, api, address, key="sk-of-tests"), by=somebody()).id

    def begin(self) -> None:
        project = self.world.project(has_repository=True)
        task = self.world.task(project, description=SENTENCE, driver=self.name, model=MODELS[self.name])
        self.task_id = task.id

    def run(self) -> Run:
        """The agent does the task's next run, to its end."""
        assert self.agent.post("/api/runner/heartbeat", json={"runIds": []}).status_code == 200
        _client, claim = self.world.claim(self.agent)
        claimed = decode(ClaimedRun, claim, key_of=camel_case)
        directory = self.folder / claimed.run.id
        Attempt(
            claimed, url=self.url, directory=directory, offer=self.offer, sandboxes=sandboxes(directory),
            settings=AttemptSettings(),
        ).execute()  # fmt: skip
        run: Run = get(Run, claimed.run.id)
        assert run.outcome is not None
        return run

    def task(self) -> Task:
        task: Task = get(Task, self.task_id)
        return task


@pytest.fixture
def limited(
    request: pytest.FixtureRequest, plain_app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Work]:
    """param: the CLI, and further settings of the platform."""
    name, more = request.param
    environ = {"AIWORKER_LIMIT_SHORT_SECONDS": "1", "AIWORKER_AGENT_DRIVERS_DIR": str(INSTALLED), **more}
    for variable, value in environ.items():
        monkeypatch.setenv(variable, value)
    with served() as url:
        monkeypatch.setenv("AIWORKER_INTERNAL_URL", url)
        settings.cache_clear()
        yield Work(name, plain_app, url, tmp_path / "agent")
    forget_providers()


@pytest.mark.parametrize("limited", [(name, {}) for name in TRIED], indirect=True, ids=TRIED)
def test_a_task_waits_for_the_end_of_a_limit_and_goes_on_in_its_session(limited: Work) -> None:
    with ModelServer(scenes(limited.name)) as model:
        limited.provider("main", model)
        limited.begin()

        run = limited.run()

        task = limited.task()
        assert (task.phase, task.attempts, task.losses) == ("parked", 0, 0), (run.outcome, run.reason, task.error)
        assert "main: Too many tokens" in str(task.parked_reason)
        assert get(Agent, limited.agent_id).state == "idle"

        def goes_on() -> bool:
            sweeps.sweep_agents()
            return limited.task().phase == "queued"

        wait_until("the task to go on by itself", goes_on)
        run = limited.run()

        assert (run.outcome, limited.task().phase) == ("completed", "verifying"), run.reason
        last = str([one for one in model.requests if one.body.get("tools")][-1].body)
        for said in (SENTENCE, "I'll write it.", "took no calls for a while"):
            assert said in last


@pytest.mark.parametrize("limited", [("claude", {"AIWORKER_PARK_ON_LIMITS": "0"})], indirect=True, ids=["claude"])
def test_with_the_switch_off_it_does_not(limited: Work) -> None:
    with ModelServer(scenes(limited.name)) as model:
        limited.provider("main", model)
        limited.begin()

        run = limited.run()

        assert run.outcome in {"failed", "cancelled"}
        assert "429" in str(run.reason)
        task = limited.task()
        assert (task.state in {"failed", "backlog"}, task.parked) == (True, None)
        sweeps.sweep_agents()
        assert limited.task().state == task.state


@pytest.mark.parametrize("limited", [("claude", {})], indirect=True, ids=["claude"])
def test_with_a_fallback_it_goes_on_at_once(limited: Work) -> None:
    name = limited.name
    with ModelServer(scenes(name)) as model, ModelServer(scenes(name, None)) as second:
        first_id = limited.provider("first", model)
        limited.provider("second", second)
        fallback = {"fallback": "second", "fallback_model": "claude-haiku-4-5"}
        model_providers.update_provider(first_id, fallback, by=somebody())
        limited.begin()

        run = limited.run()

        assert (run.outcome, limited.task().phase) == ("completed", "verifying"), run.reason
        assert len(all_of(Run, Run.task_id == limited.task_id)) == 1
        assert {one.status for one in model.answered} == {200, 429}
        asked = [one.body for one in second.requests if one.body.get("tools")]
        assert {body["model"] for body in asked} == {"claude-haiku-4-5"}
        assert "I'll write it." in str(asked[-1])
