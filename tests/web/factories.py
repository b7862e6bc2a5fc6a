"""Projects, tasks, questions and runs as they are in the midst of things, for tests of what people then do."""

from __future__ import annotations

from typing import Any

from common.models import GroupTest, TaskGroup
from common.models.project import Project
from common.models.run import Run
from common.models.task import PreviewPicture, Proposal, Question, Task, TaskCheck
from common.services.projects import projects
from common.services.requests.access import Caller
from common.services.tasks import tasks
from common.services.tasks.tasks import NewTask
from common.transaction import Transaction, transactional
from common.values.names import new_id, new_question_id
from common.values.states import GroupState, ProjectState, Role, RunState, TaskState

MISSING_ID = "00000000-0000-7000-8000-000000000000"
SHA = "a" * 40


def somebody(role: Role = Role.ADMIN) -> Caller:
    """Whoever made what a test begins with."""
    return Caller(new_id(), "somebody", role)


def a_project(name: str = "Shop", **values: Any) -> Project:
    """Being provisioned."""
    return projects.create_project({"name": name, **values}, by=somebody()).project


def a_task(project: Project, title: str = "Implement login", *, by: Caller | None = None, **values: Any) -> Task:
    """In the backlog."""
    return tasks.create_task(NewTask(project.id, title, **values), by=by or somebody())


@transactional
def set_state(
    tx: Transaction, row: Task | Project | TaskGroup, state: TaskState | ProjectState | GroupState, **values: Any
) -> None:
    """Put it where work would have brought it."""
    locked = tx.lock(type(row), row.id)
    locked.state_ = str(state)
    for name, value in values.items():
        setattr(locked, name, value)


def ready_task(project: Project, *, by: Caller | None = None) -> Task:
    """Proven at SHA, and waiting for a person."""
    task = a_task(project, by=by)
    set_state(task, TaskState.READY_TO_TEST, head_sha=SHA)
    return task


@transactional
def changes_files(tx: Transaction, task: Task, *paths: str) -> None:
    """The task's newest run was proven to change these paths."""
    log = "\n".join(paths)
    tx.add(TaskCheck(task_id=task.id, run_id=new_id(), name="diff", status="passed", log=log, at=tx.now()))


@transactional
def a_question(
    tx: Transaction, task: Task, text: str = "Which library?", *, is_platforms: bool = False
) -> Question:  # fmt: skip
    """Asked by an agent or by the platform, so that the task waits for a person."""
    tx.lock(Task, task.id).state_ = str(TaskState.NEEDS_INPUT)
    return tx.add(
        Question(
            id=new_question_id(), task_id=task.id, round=1, fingerprint=new_id(), question=text, context=None,
            options=[], state="pending", asked_at=tx.now(), run_id=None if is_platforms else new_id(),
        )
    )  # fmt: skip


@transactional
def a_proposal(tx: Transaction, task: Task, title: str = "Secret plan, part two") -> Proposal:
    """Waits for a person's decision."""
    return tx.add(
        Proposal(
            task_id=task.id, run_id=new_id(), fingerprint=new_id(), title=title, description="", state="proposed",
            created_at=tx.now(),
        )
    )  # fmt: skip


@transactional
def a_picture(tx: Transaction, task: Task, content: bytes | None = b"Secret plan", **values: Any) -> PreviewPicture:
    """Of the task's preview; without content one that could not be taken."""
    about = {
        "kind": "after", "commit_sha": SHA, "pictured_sha": SHA, "width": 1280, "height": 800,
        "problem": None if content else "The browser left no picture.",
    }  # fmt: skip
    size = len(content or b"")
    return tx.add(
        PreviewPicture(task_id=task.id, content=content, size_bytes=size, taken_at=tx.now(), **{**about, **values})
    )


@transactional
def a_group_test(tx: Transaction, group_id: str, **values: Any) -> GroupTest:
    """A red run of the group's tests on the default branch."""
    about = {
        "attempt": 1, "position": 0, "task_id": None, "commit_sha": SHA, "passed": False, "is_known": False,
        "reason": "it exited with 1", "log": "Secret plan",
    }  # fmt: skip
    return tx.add(GroupTest(group_id=group_id, at=tx.now(), **{**about, **values}))


@transactional
def a_live_run(tx: Transaction, task: Task) -> Run:
    """At work on the task."""
    return tx.add(
        Run(
            task_id=task.id, project_id=task.project_id, live_task_id=task.id, agent_id="agent-000000000001", round=1,
            usage={}, token_digest=new_id(), state_=str(RunState.RUNNING), created_at=tx.now(), seen_at=tx.now(),
        )
    )  # fmt: skip


@transactional
def end(tx: Transaction, run: Run) -> None:
    """The run is over."""
    locked = tx.lock(Run, run.id)
    locked.state_, locked.live_task_id = str(RunState.ENDED), None
