"""Which lines no test touches is measured after the proof, by a run that decides nothing and that nobody waits for."""

from __future__ import annotations

import pytest

from common.jobs.catalogue import MEASURE_COVERAGE
from common.models import Job, Project, Task, TaskCheck
from common.providers.runtime import runtime
from common.services.project_settings.project_resources import location_of
from tests.workers.jobs.test_which_tests_ran import PYTEST, checks_of
from tests.workers.platform import Platform
from tests.workers.proof.test_untested_lines import outcome_of

PAGE = "def title():\n    return 'Shop'\n"
MORE = PAGE + "\n\ndef tax(rate):\n    if rate:\n        return rate / 2\n    return 0\n"
TESTS = "from page import title\n\n\ndef test_title():\n    assert title() == 'Shop'\n"
FILES = {"page.py": PAGE, "tests/test_page.py": TESTS, "tests/__init__.py": ""}
TAX = "from page import tax, title\n\n\ndef test_tax():\n    assert tax(2) == 1\n\n\n" + TESTS.split("\n\n\n")[1]
WORK: dict[str, str | None] = {"page.py": MORE, "tests/test_page.py": TAX}


def measured(platform: Platform, task: Task) -> TaskCheck | None:
    return checks_of(platform, task).get("coverage")


def runs(platform: Platform) -> list[Job]:
    return platform.all(Job, Job.kind == MEASURE_COVERAGE.name)


def is_started(platform: Platform, task: Task) -> bool:
    run = platform.runs(task)[-1]
    space = location_of(platform.get(Project, task.project_id)).space
    return runtime().read_check(space, f"{run.id}-coverage") is not None


def test_a_new_project_sees_the_lines_without_doing_anything(platform: Platform) -> None:
    project = platform.project(FILES, test_command=PYTEST, coverage="run")
    task = platform.ready(project, "Tax", WORK)

    assert outcome_of(measured(platform, task)) == (
        "passed", "lines_untested", "No test touches 1 of the 7 added lines that can run: page.py:8-8.",
        "page.py:8-8", {"added": 7, "uncovered": 1},
    )  # fmt: skip
    assert not is_started(platform, task)


@pytest.mark.slow
def test_a_person_does_not_wait_for_it_and_a_push_voids_it(platform: Platform) -> None:
    """While its tests are measured, which never end by themselves."""
    project = platform.project(FILES, test_command=PYTEST, coverage="run")
    waits = "    while 'coverage' in sys.modules:\n        time.sleep(0.05)\n    assert tax"
    tests = "import sys, time\n" + TAX.replace("    assert tax", waits)
    task = platform.task(project)
    claimed = platform.claim()
    platform.finish(claimed, platform.push(claimed, {**WORK, "tests/test_page.py": tests}))

    def is_proven() -> bool:
        return platform.get(Task, task.id).state == "ready_to_test" and is_started(platform, task)

    platform.run_jobs(until=is_proven)
    assert measured(platform, task) is None

    tree = platform.clone(project)
    branch = task.branch_name
    tree.commit({"late": "x"}, on=branch, start=f"origin/{branch}")
    tree.push(branch)
    platform.poll_repository(project)

    assert platform.get(Task, task.id).state == "in_progress"
    assert platform.all(TaskCheck, TaskCheck.name == "coverage") == []
    assert (not is_started(platform, task), [job.state for job in runs(platform)]) == (True, ["done"])
