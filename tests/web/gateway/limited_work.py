"""A task of a real coding CLI at a provider that is limited in the middle of its run.

Gateway, runner and git are the real ones; the jobs run in the test.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from common.machine.text import camel_case
from common.models import Agent, Run, Task
from common.services.spend import model_providers
from common.services.spend.model_providers import NewProvider
from common.settings import settings
from common.values.json_codec import decode
from common.values.runs.claimed_run import ClaimedRun
from tests.doubles.cli_dialects import DIALECTS
from tests.doubles.model_server import ModelServer, Scene
from tests.doubles.model_wire import Fault, Step
from tests.e2e.instance import wait_until
from tests.web.made import somebody
from tests.web.world import World, forget_providers, get, served
from tests.workers.runner.drivers.cli_runs import APIS, INSTALLED, MODELS, usable_program
from tests.workers.runner.places import sandboxes
from web.gateway.answers.known_limits import book
from workers import sweeps
from workers.runner.attempt.attempt import Attempt
from workers.runner.attempt.attempt_settings import AttemptSettings
from workers.runner.drivers.offer import DriverOffer
from workers.runner.drivers.programs import PROGRAM_DRIVERS

SENTENCE = "TASK-1: write a greeting."
DONE = "It greets now."


def limit(seconds: int) -> Fault:
    """A refusal, once: calls are taken again after so many seconds."""
    headers = {"retry-after": str(seconds), "x-should-retry": "false"}
    return Fault(status=429, times=1, headers=headers, message="Too many tokens")


def scenes(name: str, fault: Fault | None) -> tuple[Scene]:
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

    def waits_and_goes_on(self, model: ModelServer) -> tuple[Run, Run]:
        """The limit parks the task, which goes on by itself in its session. model: the provider. Returns both runs."""
        self.provider("main", model)
        self.begin()

        limited = self.run()

        task = self.task()
        assert (task.phase, task.attempts, task.losses) == ("parked", 0, 0), (
            limited.outcome,
            limited.reason,
            task.error,
        )
        assert "main: Too many tokens" in str(task.parked_reason)
        assert get(Agent, self.agent_id).state == "idle"

        def goes_on() -> bool:
            sweeps.sweep_agents()
            return self.task().phase == "queued"

        wait_until("the task to go on by itself", goes_on)
        run = self.run()

        assert (run.outcome, self.task().phase) == ("completed", "verifying"), run.reason
        last = str([one for one in model.requests if one.body.get("tools")][-1].body)
        for said in (SENTENCE, "I'll write it.", "took no calls for a while"):
            assert said in last
        return limited, run


@contextmanager
def limited_work(name: str, app: Flask, folder: Path, monkeypatch: pytest.MonkeyPatch, **more: str) -> Iterator[Work]:
    """more: settings of the platform."""
    for variable, value in {"AIWORKER_AGENT_DRIVERS_DIR": str(INSTALLED), **more}.items():
        monkeypatch.setenv(variable, value)
    with served(app="tests.web.impatient_app") as url:
        monkeypatch.setenv("AIWORKER_INTERNAL_URL", url)
        settings.cache_clear()
        yield Work(name, app, url, folder)
    forget_providers()
