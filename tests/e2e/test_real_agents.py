"""Each real coding CLI on one whole instance, with a scripted model: a question, a rejection, a cap, one session.

What it said is in the transcript in order, what it cost is what the model server sent, and no key of the provider is
anywhere below the agent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import leave_out
from tests.doubles.model_server import ModelServer
from tests.e2e.instance import Instance, running
from tests.e2e.models import KEYS, SCRIPTED_MODELS, environment_for, environment_for_all, environment_of_tests
from tests.e2e.origin import served_repository
from tests.e2e.real_agents import (
    answer_after_a_kill,
    asks_people_with_our_tool_alone,
    cap_after_two_calls,
    counted_to_the_token,
    goes_on_when_raised,
    is_one_session,
    no_key_below_agents,
    no_key_in_files,
    runs_of,
    tells_the_work,
    transcript_of,
)
from tests.e2e.story import Story
from tests.e2e.story_tasks import FIRST, REASON, scenes

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(
    params=[name if name == "codex" else pytest.param(name, marks=pytest.mark.slow) for name in sorted(KEYS)]
)
def driver(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if not (Path(environment_of_tests()["AIWORKER_AGENT_DRIVERS_DIR"]) / name).exists():
        leave_out(f"the CLI of the driver {name} is not installed; run: .ci/packages")
    return name


@dataclass(frozen=True)
class Shared:
    """One instance for all CLIs, one after the other. key: that of every provider."""

    instance: Instance
    origin: str
    model: ModelServer
    key: str


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("instance")
    with ModelServer() as model, served_repository(folder) as origin:
        environ = environment_for_all(model) | environment_of_tests()
        with running(folder, AIWORKER_IMPORT_ALLOW=urlsplit(origin).netloc, **environ) as instance:
            yield Shared(instance, origin, model, environ[KEYS["claude"]])


def test_a_task_from_a_sentence_to_ready_twice(driver: str, shared: Shared) -> None:
    instance, model = shared.instance, shared.model
    model.begin(scenes(driver))
    story = Story(instance, shared.origin, driver=driver, model=SCRIPTED_MODELS[driver], quiet=True)
    story.log_in()
    story.import_project(name=f"Greeter of {driver}")
    task_id = story.give(FIRST)
    story.heard.wait("the agent's question", lambda event: event["event"] == "task:needs_input")
    no_key_below_agents(instance, shared.key)
    story.answer(task_id, "Spanish")
    seq = story.wait_ready(task_id, "hola")
    cap_after_two_calls(story, task_id)
    story.reject(task_id, REASON)
    goes_on_when_raised(story, task_id)
    story.wait_ready(task_id, "hola, bienvenida", after=seq)

    runs = runs_of(story, task_id)
    first, second = (transcript_of(story, run) for run in runs[:2])
    tells_the_work(first)
    assert [entry["number"] for entry in second if entry.get("number")] == list(
        range(1, 1 + sum(1 for entry in second if entry.get("number")))
    )
    is_one_session(model)
    asks_people_with_our_tool_alone(model, driver)
    counted_to_the_token(story, task_id, runs, model)
    no_key_in_files(instance, shared.key)
    story.close()


@pytest.fixture
def model(driver: str) -> Iterator[ModelServer]:
    with ModelServer(scenes(driver)) as server:
        yield server


@pytest.fixture
def environ(driver: str, model: ModelServer) -> dict[str, str]:
    return environment_for(driver, model) | environment_of_tests()


@pytest.mark.slow
@pytest.mark.parametrize("driver", ["claude"], indirect=True)
def test_an_answer_after_a_kill_goes_on_in_the_same_session(
    tmp_path: Path, driver: str, model: ModelServer, environ: dict[str, str]
) -> None:
    """The other CLIs are killed in tests/soak."""
    answer_after_a_kill(tmp_path, driver, model, environ)
