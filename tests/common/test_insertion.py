"""A row that is inserted with the next statement is as one that was added: it is read, changed and undone like that."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from common.models import Job
from common.states import JobState
from common.transaction import Transaction, snapshot, transactional

pytestmark = pytest.mark.usefixtures("on_database")


@transactional
def _insert(tx: Transaction, job_id: str, act: Callable[[Transaction, Job], object] = lambda _tx, _job: None) -> Job:
    job = tx.insert_with_next(
        Job, id=job_id, kind="k", subject_id="ü", live_key=job_id, state_=JobState.QUEUED, next_at=tx.now(), waits=3,
        created_at=tx.now(),
    )  # fmt: skip
    act(tx, job)
    return job


def _stored() -> list[Job]:
    with snapshot() as read:
        return list(read.all(select(Job).order_by(Job.id)))


def test_it_is_stored_as_one_that_was_added() -> None:
    inserted = _insert("a")

    @transactional
    def add(tx: Transaction) -> None:
        tx.add(
            Job(
                id="b", kind="k", subject_id="ü", live_key="b", state_=JobState.QUEUED, next_at=inserted.next_at,
                waits=3, created_at=inserted.created_at,
            )
        )  # fmt: skip

    add()

    one, other = ({c.key: getattr(job, c.key) for c in Job.__mapper__.column_attrs} for job in _stored())
    assert {**one, "id": "", "live_key": ""} == {**other, "id": "", "live_key": ""}
    assert {name: getattr(inserted, name) for name in one} == one
