"""Results of tests that failed are void when a setting changes that may have made them fail."""

from __future__ import annotations

import pytest

from common.models import Project, Question, Task
from common.services.projects import projects
from tests.workers.jobs.test_which_tests_ran import checks_of
from tests.workers.jobs.test_whose_fault import FILES, PYTEST
from tests.workers.platform import Platform

pytestmark = pytest.mark.slow


def test_a_base_that_was_red_for_a_missing_variable_is_tested_again_when_it_is_set(plain_platform: Platform) -> None:
    platform = plain_platform
    project = platform.project(FILES, test_command=f'test "$SHOP" = open && {PYTEST}')
    task = platform.task(project)
    platform.work(task, {"readme": "x\n"})
    (question,) = platform.all(Question, Question.task_id == task.id)
    assert (question.context, platform.get(Project, project.id).red_base is None) == ("base_is_red", False)

    projects.update_project(project.id, {"env_vars": {"SHOP": "open"}}, by=platform.max)
    platform.answer(question, "The variable is set now")
    platform.work(task, {"readme": "y\n"})

    checks = checks_of(platform, task)
    assert checks["lost_tests"].message == "0 new, none lost."
    assert platform.get(Task, task.id).state == "ready_to_test"
    assert platform.get(Project, project.id).red_base is None
