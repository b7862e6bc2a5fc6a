"""The guard of versions sees changes of tasks on every way to the database."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from common.database.compiled_statements import Statement
from common.models.task import Task
from common.transaction import Transaction, transactional
from common.values.states import Role
from tests import builders, version_guard
from tests.web.factories import a_project, a_task

version_guard.watch()

TITLES = Statement(lambda: update(Task).values(title="Silent"))


def _by_row(tx: Transaction, task_id: str) -> None:
    tx.session.get_one(Task, task_id).title = "Silent"


def _by_query(tx: Transaction, _task_id: str) -> None:
    tx.session.execute(update(Task).values(title="Silent"))


def _by_statement(tx: Transaction, _task_id: str) -> None:
    TITLES.run(tx.connection)


def _by_what_is_sent_later(tx: Transaction, _task_id: str) -> None:
    TITLES.run_with_next(tx.connection, None)


def _of_the_product(act: object) -> object:
    """As if it stood in a module of the product."""
    act.__module__ = "common.services.silent"
    return transactional(act)  # type: ignore[arg-type]


@pytest.mark.usefixtures("on_database")
@pytest.mark.parametrize("act", [_by_row, _by_query, _by_statement, _by_what_is_sent_later])
def test_a_silent_change_is_noticed_on_every_way(act: object) -> None:
    builders.a_user("max", Role.MAINTAINER)
    task = a_task(a_project())

    with pytest.raises(AssertionError, match="without an event"):
        _of_the_product(act)(task.id)  # type: ignore[operator]
