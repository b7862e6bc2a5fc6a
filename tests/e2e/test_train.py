"""Eight approved tasks in one group: five land at once, three come back once, and nothing untested is ever on main."""

from __future__ import annotations

import math
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from common.services.delivery.bisection import CONFIRMING_RUNS
from tests.e2e.delivery import DefaultBranch, Repeated, agent
from tests.e2e.instance import running
from tests.e2e.origin import served_repository
from tests.e2e.story import Story

pytestmark = pytest.mark.slow

CHANGES = (
    ("greeting.txt", "zero"),
    ("one.txt", "x"),
    ("limit", "x"),
    ("greeting.txt", "three"),
    ("four.txt", "x"),
    ("use", "x"),
    ("greeting.txt", "six"),
    ("seven.txt", "x"),
)
CULPRIT = 5
"""It passes the tests alone, and breaks them together with the one that has the limit."""
RIVALS = (3, 6)
"""They change what the first of all changes."""


class RunLog:
    """The project's test command, which writes down every commit that it is run on and how it went."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.command = (
            "said=green; if test -e limit && test -e use; then said=red; fi; "
            f'echo "$(git rev-parse HEAD) $said" >> {file}; test $said = green'
        )

    def ran(self) -> list[tuple[str, str]]:
        """(commit, green or red) of every run, in order."""
        if not self._file.exists():
            return []
        return [(line.split()[0], line.split()[1]) for line in self._file.read_text().splitlines()]


def _description(number: int) -> str:
    """The second round gives up what clashed, and does it in a file of its own."""
    path, content = CHANGES[number]
    first = f"```steps\n- write: {{path: {path}, content: {content}}}\n```\n"
    undo = "git rm --quiet use" if number == CULPRIT else "git checkout --quiet HEAD~1 -- greeting.txt"
    return f"{first}\n```steps\n- run: {undo}\n- write: {{path: again-{number}.txt, content: x}}\n```\n"


def _all_ready(story: Story, task_ids: list[str], *, after: int = 0) -> None:
    for task_id in task_ids:
        story.heard.wait_state(task_id, "ready_to_test", after=after)
        story.approve(task_id)


def test_five_of_eight_land_at_once_and_three_in_the_next_group(tmp_path: Path) -> None:
    tests = RunLog(tmp_path / "tested")
    with (
        served_repository(tmp_path) as origin,
        # Unconfined: a confined test command could not write its log.
        running(
            tmp_path, AIWORKER_IMPORT_ALLOW=urlsplit(origin).netloc, AIWORKER_AGENTS="0", AIWORKER_SANDBOX="off"
        ) as instance,
    ):
        story = Story(instance, origin, quiet=True)
        story.log_in()
        none = {"preview": 0, "staging": 0, "production": 0}
        story.import_project(testCommand=tests.command, healthSeconds=none)
        main = DefaultBranch(story)
        imported = main.look()

        def look() -> None:
            at = main.look()
            assert at == imported or (at, "green") in tests.ran(), f"main is at {at}, which was not tested green"

        with agent(story, tmp_path, slots=4), Repeated(look):
            task_ids = [story.write_task(f"Task {n}", _description(n)) for n in range(len(CHANGES))]
            _all_ready(story, task_ids)
            _land(story, tests, task_ids, main)
        story.close()


def _land(story: Story, tests: RunLog, task_ids: list[str], main: DefaultBranch) -> None:
    group_id = story.group("First", *task_ids)
    story.deploy(group_id, "staging", "zero")
    story.deploy(group_id, "production", "zero")
    came_back = [task_ids[number] for number in (*RIVALS, CULPRIT)]
    landed = [task_id for task_id in task_ids if task_id not in came_back]
    group = story.api.get(f"/task-groups/{group_id}")["taskGroup"]
    assert group["taskIds"] == landed
    problems = {problem["taskId"]: problem["kind"] for problem in group["problems"]}
    assert problems == {came_back[0]: "conflict", came_back[1]: "conflict", came_back[2]: "tests_failed"}
    assert len(group["problems"]) == len(came_back)
    assert [_state(story, task_id) for task_id in landed] == ["production"] * 5
    assert main.look() == group["headSha"]

    made = story.heard.wait("the group", lambda event: event["event"] == "task-group:status_changed")
    _all_ready(story, came_back, after=made["seq"])
    most = 2 + 1 + math.ceil(math.log2(len(task_ids))) + 2 * (CONFIRMING_RUNS - 1)
    assert _runs_until_named(story, tests, task_ids, group["headSha"]) <= most
    for task_id in came_back:
        task = story.api.get(f"/tasks/{task_id}")["task"]
        kinds = [comment["kind"] for comment in task["comments"]]
        assert (task["round"], kinds) == (2, ["group"]), (task["round"], task["comments"])
    second = story.group("Second", *came_back)
    story.deploy(second, "staging", "zero")
    story.deploy(second, "production", "zero")
    assert [_state(story, task_id) for task_id in task_ids] == ["production"] * 8
    assert story.api.get(f"/task-groups/{second}")["taskGroup"]["problems"] == []
    main.look()
    assert len(main.seen) == 3, main.seen


def _runs_until_named(story: Story, tests: RunLog, task_ids: list[str], tested_sha: str) -> int:
    """How many tests of merged commits there were before that of what was left without the culprit."""
    tasks = [story.api.get(f"/tasks/{task_id}")["task"] for task_id in task_ids]
    claimed = {run["commitSha"] for task in tasks for run in task["runs"]}
    merged = [commit for commit, _said in tests.ran() if commit not in claimed]
    return merged.index(tested_sha)


def _state(story: Story, task_id: str) -> str:
    return str(story.api.get(f"/tasks/{task_id}")["task"]["state"])
