"""A run: one attempt at a task by one agent. Its token is valid as long as the run."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, String, UnicodeText, false, text
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from common.models.base import TABLE_OPTIONS, Base, HasId, HasState, LongText
from common.values.states import RUN_EDGES, By, RunState
from common.values.testing.agent_review import Purpose


class Run(HasId, HasState[RunState], Base):
    """live_task_id equals task_id until the run ends, then it is NULL; unique, so a task has at most one live run.

    secrets_sealed: the run's token and the forge credential, so that a claim whose answer was lost can be answered
    again; None once it has ended. seen_at: when a heartbeat last named the run, or its agent ended it (the database's
    clock). is_acknowledged: a heartbeat has named it. claimed_sha: the commit that its agent reported as the result.
    base_sha: the default branch's head when the run became claimable; None before. log_bytes: the size of its
    transcript. is_cut_short: the agent's machine ended the run, by a signal or for lack of space. driver: with which
    the agent works; None for runs of older versions. model: None: the driver's own choice. model_digest: of the token
    for its calls of models; None: it has none. entries_received: the number of the last transcript entry that its
    runner has sent. limited_until, limit_reason: until when the provider of models refuses this run's calls, and what
    it said; None: it does not. has_written: it has changed a file, as far as its transcript shows. stop_reason: why the
    platform wants it to end; None: it does not. prompt_digest: SHA-256 of the prompt that its agent received; None
    before, and for older runs. fresh_prompt_digest: of the prompt for an agent that can't resume the session.
    told_digest: of the task's title, description and files as the run was told of them (edits.py); None as for
    prompt_digest, and for reviews. purpose: see Purpose; of a review, claimed_sha is the commit that it looks at, and
    verdict what it said of it; None until then. overruled_by, overruled_reason, overruled_at: the person who goes on
    with the claimed commit without the review by another agent, and why; None: nobody does.
    """

    __tablename__ = "runs"
    lock_rank = 3
    edges = RUN_EDGES
    state_type = RunState
    thing = "run"

    task_id: Mapped[str] = mapped_column(String(40), ForeignKey("tasks.id", ondelete="CASCADE"), index=True)
    project_id: Mapped[str] = mapped_column(String(40), index=True)
    live_task_id: Mapped[str | None] = mapped_column(String(40), unique=True)
    agent_id: Mapped[str] = mapped_column(String(40), index=True)
    round: Mapped[int]
    driver: Mapped[str | None] = mapped_column(String(40))
    model: Mapped[str | None] = mapped_column(String(100))
    model_digest: Mapped[str | None] = mapped_column(String(64), unique=True, index=True)
    entries_received: Mapped[int] = mapped_column(BigInteger, default=0, server_default=text("0"))
    outcome: Mapped[str | None] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(UnicodeText)
    summary: Mapped[str | None] = mapped_column(LongText)
    claimed_sha: Mapped[str | None] = mapped_column(String(40))
    base_sha: Mapped[str | None] = mapped_column(String(40))
    prompt_digest: Mapped[str | None] = mapped_column(String(64))
    fresh_prompt_digest: Mapped[str | None] = mapped_column(String(64))
    told_digest: Mapped[str | None] = mapped_column(String(64))
    usage: Mapped[dict[str, float]]
    log_bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default=text("0"))
    token_digest: Mapped[str] = mapped_column(String(64), unique=True)
    secrets_sealed: Mapped[str | None] = mapped_column(UnicodeText)
    is_acknowledged: Mapped[bool] = mapped_column(default=False)
    is_cut_short: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    limited_until: Mapped[datetime | None]
    limit_reason: Mapped[str | None] = mapped_column(UnicodeText)
    has_written: Mapped[bool] = mapped_column(default=False, server_default=false())
    stop_reason: Mapped[str | None] = mapped_column(UnicodeText)
    purpose: Mapped[str] = mapped_column(String(8), default=Purpose.WORK.value, server_default=Purpose.WORK.value)
    verdict: Mapped[str | None] = mapped_column(String(16))
    overruled_by: Mapped[str | None] = mapped_column(String(140))
    overruled_reason: Mapped[str | None] = mapped_column(UnicodeText)
    overruled_at: Mapped[datetime | None]
    seen_at: Mapped[datetime]
    finished_at: Mapped[datetime | None] = mapped_column(index=True)

    @property
    def is_review(self) -> bool:
        return self.purpose == Purpose.REVIEW

    def move_to(self, new: RunState, by: By) -> None:
        self.change_state(new, by)
        if new is RunState.ENDED:
            self.live_task_id = None
            self.secrets_sealed = None


class LogEntry(Base):
    """An entry of an agent's log. run_id: None for entries outside of a run.

    kind: log, text, thinking, tool, result, plan, message. number: the runner's number of the entry, from 1 in each
    run; None if the platform wrote it. call_id: joins a tool and its result. details: what the page shows beside the
    message, such as a tool's name and input; None: nothing.
    """

    __tablename__ = "log_entries"
    __table_args__ = (
        Index("ix_log_entries_agent", "agent_id", "id"),
        Index("ix_log_entries_run", "run_id", "id"),
        Index("ix_log_entries_at", "at"),
        TABLE_OPTIONS,
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    agent_id: Mapped[str] = mapped_column(String(40))
    run_id: Mapped[str | None] = mapped_column(String(40))
    at: Mapped[datetime]
    level: Mapped[str] = mapped_column(String(8))
    kind: Mapped[str] = mapped_column(String(8))
    message: Mapped[str] = mapped_column(LongText)
    number: Mapped[int | None] = mapped_column(BigInteger)
    call_id: Mapped[str | None] = mapped_column(String(100))
    details: Mapped[dict[str, object] | None]


class RunSession(Base):
    """A part of the archive of a task's agent CLI session, with which any agent can resume the session.

    part: its position, from 0. driver: which wrote it; None for archives of older versions. The archive is split
    because servers limit a packet (16 MiB on MariaDB, 4 on older MySQL).
    """

    __tablename__ = "run_sessions"

    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)
    part: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    run_id: Mapped[str] = mapped_column(String(40))
    driver: Mapped[str | None] = mapped_column(String(40))
    archive: Mapped[bytes] = mapped_column(LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb"))
    saved_at: Mapped[datetime]
