"""Sample projects: a small repository with tests and a page, and three tasks that the built-in agent does by steps."""

from __future__ import annotations

from itertools import count

from common.models.task import Task
from common.services.project_settings.project_names import is_name_taken
from common.services.projects.projects import ProjectView, create_project
from common.services.requests.access import Caller
from common.services.tasks.tasks import NewTask, create_task
from common.transaction import Transaction, transactional
from common.values.delivery.starter_files import SAMPLE, STARTERS
from common.values.states import Priority

NAME = "Sample"


@transactional
def create_sample(tx: Transaction, *, by: Caller) -> tuple[ProjectView, list[Task]]:
    """Create a sample project with its tasks, in the order in which they should be done. Needs the role maintainer.

    Each call creates another one: `Sample`, then `Sample 2`, and so on.
    """
    starter = STARTERS[SAMPLE]
    view = create_project(
        {"name": _free_name(tx, by), "description": "A small page to try AiWorker with.", "starter": SAMPLE}, by=by
    )
    tasks = [
        create_task(
            NewTask(
                view.project.id, one.title, one.description, priority=Priority.of(one.priority), labels=list(one.labels)
            ),
            by=by,
        )
        for one in starter.tasks
    ]
    return view, tasks


def _free_name(tx: Transaction, by: Caller) -> str:
    names = (NAME if number == 1 else f"{NAME} {number}" for number in count(1))
    return next(name for name in names if not is_name_taken(tx, name, by))
