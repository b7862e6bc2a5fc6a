"""What is asked of every real coding CLI on a whole instance, with a scripted model."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from tests.doubles.model_server import ModelServer
from tests.e2e.instance import Instance, running, wait_until
from tests.e2e.models import SCRIPTED_MODELS
from tests.e2e.origin import served_repository
from tests.e2e.story import Story
from tests.e2e.story_tasks import FIRST, QUESTION
from tests.processes import child_processes, command_words

ORDER = ("I'll read it first.", QUESTION, "Thanks: Spanish.", "I'll test and commit it.", "It greets in Spanish now.")
OWN_QUESTION_TOOLS = {"AskUserQuestion", "request_user_input", "ask_user", "ask_user_question", "question"}
AGENT_PARTS = ("workers.runner", "workers.supervisor")


def answer_after_a_kill(folder: Path, driver: str, model: ModelServer, environ: Mapping[str, str]) -> None:
    """The run ended as waiting; everything is killed; another agent on another directory gets the answer.

    environ: names the model server as the provider of the driver's API.
    """
    with served_repository(folder) as origin:
        allow = urlsplit(origin).netloc
        with running(folder, AIWORKER_IMPORT_ALLOW=allow, AIWORKER_AGENTS="1", **environ) as instance:
            story = Story(instance, origin, driver=driver, model=SCRIPTED_MODELS[driver], quiet=True)
            story.log_in()
            story.import_project()
            task_id = story.give(FIRST)
            story.heard.wait("the agent's question", lambda event: event["event"] == "task:needs_input")
            wait_until("the run to wait", lambda: runs_of(story, task_id)[0]["outcome"] == "waiting")
            story.heard.close()
            instance.kill()
            # Its directory goes, so it enrols as another agent.
            os.rename(folder / "data" / "agent" / "1", folder / "former-agent")
            instance.start()
            story.events = None
            task = story.api.get(f"/tasks/{task_id}")["task"]
            question = task["questions"][0]
            story.api.post(f"/tasks/{task_id}/respond", {"questionId": question["id"], "response": "Spanish"})
            story.api.post(f"/tasks/{task_id}/respond", {"questionId": question["id"], "response": "English"}, 409)
            wait_until("the task to be ready", lambda: _state(story, task_id) == "ready_to_test")
            runs = runs_of(story, task_id)
            # The killed agent may be offered the run until its silence is noticed; it has begun nothing then.
            begun = [run for run in runs if run["startedAt"] is not None]
            assert [run["outcome"] for run in begun] == ["waiting", "completed"], runs
            assert len({run["agentId"] for run in begun}) == 2
            is_one_session(model)
            counted_to_the_token(story, task_id, begun, model)
            story.close()


def cap_after_two_calls(story: Story, task_id: str) -> None:
    """One more call has about 1,100 tokens. The third is for a command, which needs no path of the former directory."""
    spent = story.api.get(f"/tasks/{task_id}")["task"]["spent"]
    story.api.patch(f"/tasks/{task_id}", {"caps": {"tokens": spent["inputTokens"] + spent["outputTokens"] + 1200}})


def goes_on_when_raised(story: Story, task_id: str) -> None:
    """The cap ends the run, which fails nothing; without it, the same session goes on."""

    def is_parked() -> bool:
        return bool(story.api.get(f"/tasks/{task_id}")["task"]["phase"] == "parked")

    wait_until("the cap to end the run", is_parked)
    refused = runs_of(story, task_id)[-1]
    assert "The budget is used up" in refused["reason"], refused
    assert 2 <= refused["usage"]["calls"] <= 3, refused
    story.api.patch(f"/tasks/{task_id}", {"caps": {"tokens": None}})


def _state(story: Story, task_id: str) -> str:
    return str(story.api.get(f"/tasks/{task_id}")["task"]["state"])


def runs_of(story: Story, task_id: str) -> list[Any]:
    """The task's runs, oldest first."""
    runs: list[Any] = story.api.get(f"/tasks/{task_id}")["task"]["runs"]
    return sorted(runs, key=lambda run: str(run["createdAt"]))


def transcript_of(story: Story, run: Any) -> list[Any]:
    entries: list[Any] = []
    after = 0
    while page := story.api.get(f"/runs/{run['id']}/transcript?after={after}&limit=500"):
        entries += page["entries"]
        if not page["entries"]:
            return entries
        after = page["next"]
    return entries


def tells_the_work(entries: list[Any]) -> None:
    """What was said and done, in order: read, asked, changed, tested; each call with its result."""
    numbers = [entry["number"] for entry in entries if entry.get("number")]
    assert numbers == list(range(1, len(numbers) + 1))
    calls = {entry["callId"]: entry for entry in entries if entry["kind"] == "tool"}
    results = {entry["callId"] for entry in entries if entry["kind"] == "result"}
    assert len(calls) >= 4, entries
    assert set(calls) == results
    said = "\n".join(f"{entry['kind']}: {entry['message']} {entry.get('details')}" for entry in entries)
    places = [said.find(part) for part in ORDER]
    assert -1 not in places, said
    assert places == sorted(places), said
    diffs = [entry["details"]["diff"] for entry in entries if "diff" in entry.get("details", {})]
    assert any("-hello" in diff and "+hola" in diff for diff in diffs), said


def is_one_session(model: ModelServer) -> None:
    """The last request knows what was said in the first: it is one conversation."""
    last = [request for request in model.requests if request.method == "POST" and "tools" in request.body][-1]
    said = str(last.body)
    assert FIRST.sentence[:60] in said
    assert QUESTION in said


def asks_people_with_our_tool_alone(model: ModelServer, driver: str) -> None:
    """No question tool of the CLI is offered to the model, but Claude's, which is mapped to the platform's."""
    offered = set(re.findall(r"'name': '(\w+)'", str([one.body for one in model.requests])))
    # Codex tells the platform's tool by its plain name, in a namespace.
    expected = {"claude": {"AskUserQuestion"}, "codex": {"ask_user_question"}}.get(driver, set())
    assert offered & OWN_QUESTION_TOOLS == expected, offered


def counted_to_the_token(story: Story, task_id: str, runs: list[Any], model: ModelServer) -> None:
    sent = model.spent()

    usage = [run["usage"] for run in runs_of(story, task_id)]
    counted = [sum(one.get(name, 0) for one in usage) for name in ("inputTokens", "cachedTokens", "outputTokens")]
    assert counted == [sent.input, sent.cached, sent.output], (usage, model.answered)
    spent = story.api.get(f"/tasks/{task_id}")["task"]["spent"]
    assert spent["inputTokens"] == sent.input, spent
    assert spent["outputTokens"] == sent.output, spent
    assert spent["runs"] == len(runs), spent


def _below_agents(instance: Instance) -> list[psutil.Process]:
    agents = [one for one in instance.family() if any(part in " ".join(command_words(one)) for part in AGENT_PARTS)]
    assert agents, "no agent runs"
    return [*agents, *(child for agent in agents for child in child_processes(agent))]


def _words_of(process: psutil.Process) -> list[str]:
    """The values of its environment, and its arguments; empty if it has ended."""
    command_words: list[str] = []

    def is_read() -> bool:
        try:
            command_words[:] = [*process.environ().values(), *process.cmdline()]
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            # Its own ordinary user may not look at bubblewrap while it makes its namespaces, and when it ends.
            return False
        return True

    wait_until(f"the environment of {process}", is_read)
    return command_words


def no_key_below_agents(instance: Instance, key: str) -> None:
    """Neither in an environment nor in an argument of the agent, its CLI and their children."""
    looked = 0
    for process in _below_agents(instance):
        command_words = _words_of(process)
        looked += bool(command_words)
        assert key not in "\0".join(command_words), process
    assert looked >= 3, "the CLI was not running"
    no_key_in_files(instance, key)


def no_key_in_files(instance: Instance, key: str) -> None:
    """Nor in a file that it can read: its work directory, the clone, its home."""
    for folder, _folders, names in os.walk(instance.folder / "data" / "agent"):
        for path in (Path(folder, name) for name in names):
            # The CLI and the runner remove what they need no more.
            with contextlib.suppress(FileNotFoundError):
                if path.is_file() and not path.is_symlink():
                    assert key.encode() not in path.read_bytes(), path
