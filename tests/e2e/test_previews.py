"""Twenty previews, everything killed, half of the tasks cancelled meanwhile: only what is wanted comes back."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.e2e.client import Listener
from tests.e2e.delivery import Traces, agent, listening
from tests.e2e.instance import running, wait_until
from tests.e2e.origin import served_repository
from tests.e2e.story import Story
from tests.processes import words

pytestmark = pytest.mark.slow

PREVIEWS = 20
SWEPT_SECONDS = 300
"""The promise: this long after the platform is up, nothing is left that nobody wants."""
ANSWER_SECONDS = 30
"""For a page of a program that has just been started, beside nineteen others, on a machine that is busy."""


def _description(number: int) -> str:
    return f"```steps\n- write: {{path: greeting.txt, content: 'number {number}'}}\n```\n"


def _says(url: str) -> str | None:
    """What the page at the address says; None if it does not answer."""
    try:
        return requests.get(url, timeout=ANSWER_SECONDS).text
    except requests.RequestException:
        return None


def _previews(story: Story) -> list[str]:
    """The deployments that are live."""
    rows = story.api.get(f"/deployments?projectId={story.project['id']}&environment=preview&status=completed&limit=200")
    return [row["id"] for row in rows["deployments"]]


def test_of_twenty_previews_only_the_wanted_ten_outlive_a_kill(tmp_path: Path) -> None:
    with (
        served_repository(tmp_path) as origin,
        running(tmp_path, AIWORKER_IMPORT_ALLOW=urlsplit(origin).netloc, AIWORKER_AGENTS="0") as instance,
    ):
        story = Story(instance, origin, quiet=True)
        story.log_in()
        story.import_project(testCommand=None)
        with agent(story, tmp_path, slots=4):
            task_ids = [story.write_task(f"Task {n}", _description(n)) for n in range(PREVIEWS)]
            urls = [story.heard.wait_state(task_id, "ready_to_test")["data"]["previewUrl"] for task_id in task_ids]
        assert [_says(url) for url in urls] == [f"number {n}" for n in range(PREVIEWS)]
        assert len(_previews(story)) == PREVIEWS

        traces = Traces(instance)
        _cancel_while_down(story, traces, task_ids[::2])
        story.heard.close()
        instance.start()
        story.events = Listener(instance.url, story.api.token, story.project["id"])
        _only_these_are_left(story, traces, range(1, PREVIEWS, 2), urls)
        assert [story.api.get(f"/tasks/{task_id}")["task"]["previewUrl"] for task_id in task_ids[::2]] == [None] * 10
        story.close()


def _cancel_while_down(story: Story, traces: Traces, task_ids: list[str]) -> None:
    """Nothing but the API runs when they are cancelled; right after it, that is killed, too."""
    traces.freeze()
    traces.kill("worker", "worker-slow", "workers.supervisor")
    wait_until("the previews to die with their supervisor", lambda: not traces.deployed())
    for task_id in task_ids:
        assert story.api.post(f"/tasks/{task_id}/cancel")["task"]["state"] == "cancelled"
    story.instance.kill()
    # The supervisor's guard outlives it until it has ended what the supervisor started.
    wait_until("the last process to end", lambda: traces.processes() == [])


def _only_these_are_left(story: Story, traces: Traces, numbers: range, urls: list[str]) -> None:
    wanted_ports = {urlsplit(urls[number]).port for number in numbers}

    def is_swept() -> bool:
        # Not by asking at the other addresses: a port that is free again may be another program's by now.
        answer = all(_says(urls[number]) == f"number {number}" for number in numbers)
        return answer and len(_previews(story)) == len(numbers) and _ports(traces) == wanted_ports

    wait_until("the ten wanted previews alone to answer", is_swept, SWEPT_SECONDS)
    wanted = set(_previews(story))
    apps = traces.runtime / "apps"
    deployed = traces.deployed()
    assert len(list(apps.glob("*/*"))) == len(numbers)
    assert {version.name for version in apps.glob("*/*/versions/*")} == wanted
    assert sorted(place.parent.name for place in deployed) == sorted(wanted)
    assert all(len(ports) == 1 for ports in deployed.values()), deployed
    assert list((traces.runtime / "checks").glob("*/*/")) == []
    assert traces.orphans() == []


def _ports(traces: Traces) -> set[int]:
    """Where previews may listen: what the supervisor listens on."""
    supervisors = [one for one in traces.processes() if "workers.supervisor" in words(one)]
    return set().union(*(listening(process) for process in supervisors))
