"""Runs that get nowhere: they read and read and change no file, or repeat the same failing call of a tool.

Such a run is told to end, which keeps its work, and a person is asked how to go on; the answer goes to its session.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from common.jobs import catalogue
from common.models.run import LogEntry, Run
from common.models.task import Task
from common.services.conversation.feedback import mark_feedback_undelivered
from common.services.lifecycle import task_states
from common.services.runs.log_entries import cut, note
from common.services.spend.model_calls import MadeCall, record_calls
from common.services.tasks import questions
from common.settings import settings
from common.transaction import Transaction, snapshot, transactional
from common.values.states import By, Phase, RunState, TaskState

STOP_SECONDS = 90
"""How long the agent may push what it has done: it is told within 15 s, and its last checkpoint may take 45 s."""
MOST_INTERLEAVED = 20
"""Entries of other calls that are looked through for the ones that repeat."""
LONGEST_SHOWN = 1_000
KEPT = "The work so far is kept in "
"""How the runner's entry begins after a checkpoint that has changes: workers/runner/attempt/checkpoints.py."""
_WRITING = frozenset(
    {
        "edit", "multiedit", "write", "notebookedit", "apply_patch", "patch", "write_file", "replace", "create_file",
        "str_replace", "file_change",
    }
)  # fmt: skip
"""Tools that change files, in lower case."""


@dataclass(frozen=True)
class Step:
    """A call of a tool, or what came of one. details: None: it has none."""

    kind: str
    level: str
    message: str
    call_id: str | None
    details: Mapping[str, object] | None

    @property
    def has_failed(self) -> bool:
        return is_failed_result(self.kind, self.level, self.details)

    @property
    def call(self) -> str:
        """What is equal for equal calls."""
        details = self.details or {}
        if "input" not in details:
            return self.message
        return json.dumps([details.get("name"), details["input"]], sort_keys=True)


def is_failed_result(kind: str, level: str, details: Mapping[str, object] | None) -> bool:
    """Whether an entry says that a call of a tool failed."""
    said = details or {}
    code = said.get("exitCode")
    has_failed = said.get("ok") is False or level == "error" or (code is not None and code != 0)
    return kind == "result" and has_failed


def shows_writing(kind: str, message: str, details: Mapping[str, object] | None) -> bool:
    """Whether an entry says that the run has changed a file."""
    if details is None:
        return kind == "log" and message.startswith(KEPT)
    return bool(details.get("diff")) or (kind == "tool" and str(details.get("name")).lower() in _WRITING)


# Reading


def record_and_watch(calls: Sequence[MadeCall]) -> int:
    """Like `record_calls`; stops those of the runs that have read AIWORKER_STUCK_TOKENS and changed no file."""
    new, idle = _record(calls)
    for run_id, read in idle:
        _stop(run_id, f"The run has read {read:,.0f} tokens and changed no file", "")
    return new


@transactional
def _record(tx: Transaction, calls: Sequence[MadeCall]) -> tuple[int, list[tuple[str, float]]]:
    new = record_calls(calls)
    most = settings().work.stuck_tokens
    # They are in the session: this reads nothing.
    runs = [tx.session.get(Run, run_id) for run_id in sorted({call.run_id for call in calls})]
    # A review changes no file.
    live = [run for run in runs if run is not None and run.state is RunState.RUNNING and not run.is_review]
    idle = [run for run in live if most and not run.has_written and run.stop_reason is None and _read(run) >= most]
    return new, [(run.id, _read(run)) for run in idle]


def _read(run: Run) -> float:
    return sum(run.usage.get(name, 0) for name in ("inputTokens", "cachedTokens", "cacheWriteTokens"))


# Repeating

MOST_REPEATS = 10
"""How often in a row the same call of a tool may fail: nobody needs more to see that it does not work."""


def watch_repeats(run_id: str) -> None:
    """Stop the run if its last MOST_REPEATS calls of tools were the same one and failed each time."""
    most = MOST_REPEATS
    columns = (LogEntry.kind, LogEntry.level, LogEntry.message, LogEntry.call_id, LogEntry.details)
    of_tools = select(*columns).where(LogEntry.run_id == run_id, LogEntry.kind.in_(("tool", "result")))
    with snapshot() as read:
        newest = read.session.execute(of_tools.order_by(LogEntry.id.desc()).limit(2 * most + MOST_INTERLEAVED)).all()
    steps = [Step(*row) for row in reversed(newest)]
    if (failure := repeated_failure(steps, most)) is not None:
        title, said = failure
        _stop(run_id, f"The run's last {most} calls were the same one and failed each time: {title}", said)


def repeated_failure(steps: Iterable[Step], most: int) -> tuple[str, str] | None:
    """What the run called and what came of it, if the last `most` results are failures of the same call."""
    calls: dict[str | None, Step] = {}
    in_a_row, repeated, said = 0, None, ""
    for step in steps:
        if step.kind == "tool":
            calls[step.call_id] = step
            continue
        call = calls.get(step.call_id)
        if call is None or not step.has_failed:
            in_a_row, repeated = 0, None
            continue
        in_a_row = in_a_row + 1 if repeated is not None and call.call == repeated.call else 1
        repeated, said = call, step.message
    if repeated is None or in_a_row < most:
        return None
    return " ".join(repeated.message.split())[:LONGEST_SHOWN], said


# Stopping


@transactional
def _stop(tx: Transaction, run_id: str, what: str, said: str) -> None:
    """Ask a person, and have the agent end the run. Does nothing if the run is not at work any more. Safe to repeat."""
    task_id = tx.session.execute(select(Run.task_id).where(Run.id == run_id)).scalar_one_or_none()
    if task_id is None:
        return
    task, run = tx.lock(Task, task_id), tx.lock(Run, run_id)
    if run.state is not RunState.RUNNING or run.stop_reason is not None or task.phase is not Phase.WORKING:
        return
    run.stop_reason = f"{what}, so it was stopped as stuck."
    note(tx, run, run.stop_reason)
    # The run's id: another run of the round that gets stuck in the same way is another question.
    context = f"Run {run.id}" + (f"\n\n{cut(said, LONGEST_SHOWN)}" if said else "")
    text = f"{run.stop_reason} What should it do? Its work so far is kept, and your answer goes to the same session."
    questions.ask(tx, task, text, context=context, options=[], run_id=None)
    tx.enqueue(catalogue.RELEASE_RUN, run.id, project_id=run.project_id, after_seconds=STOP_SECONDS)


def keep_stopped(tx: Transaction, task: Task, run: Run) -> bool:
    """The run has ended without a result. Returns whether the platform had stopped it: no attempt is counted then.

    Both are locked. The task waits for the answer; if that came already, it is queued.
    """
    if run.stop_reason is None:
        return False
    mark_feedback_undelivered(tx, run)
    if task.state is TaskState.IN_PROGRESS:
        task_states.queue_again(tx, task, by=By.PLATFORM)
        task_states.record_update(tx, task, "phase", "assigned_agent_id")
    else:
        task_states.leave_agent(tx, task)
    return True
