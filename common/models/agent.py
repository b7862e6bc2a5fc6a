"""An agent: a runner process that takes runs."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, String, UnicodeText, false
from sqlalchemy.orm import Mapped, mapped_column

from common.events.catalogue import PLATFORM, AgentStatus, Event
from common.models.base import TABLE_OPTIONS, Base, HasState
from common.values.states import AGENT_EDGES, AgentState, By


class Drain(StrEnum):
    """How far a drain has come. An agent may be silent meanwhile, and is offline then."""

    ASKED = "asked"
    """The agent is to drain and was not told so yet."""
    TOLD = "told"
    """It has said that it knows; one of an older version: a heartbeat was answered. It ends when it has no runs."""


class Agent(HasState[AgentState], Base):
    """digest: SHA-256 of its token. slots: how many runs it takes at once. last_task_id: the task of its newest run.

    is_pod: the platform creates its pod, for one run. token_sealed: the token for that pod; None once the pod is gone.
    pod_made_at: None until the cluster has confirmed the pod. drivers: those with which it can work, the preferred one
    first; driver is its first. findings: what it found about each driver that it knows, as the API shows them. error:
    why it can't work with any; None if it can. sandbox: `isConfining` and `says`, whether it confines its runs'
    programs; None: it did not say. drain: None: it is not to drain, or its process has ended since and another began.
    """

    __tablename__ = "agents"
    __table_args__ = (
        Index("ix_agents_created", "created_at", "id"),
        Index("ix_agents_state_created", "state", "created_at", "id"),
        TABLE_OPTIONS,
    )
    lock_rank = 6
    edges = AGENT_EDGES
    state_type = AgentState
    thing = "agent"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    pod_name: Mapped[str] = mapped_column(String(253))
    capabilities: Mapped[list[str]]
    driver: Mapped[str] = mapped_column(String(40))
    drivers: Mapped[list[str]] = mapped_column(default=list)
    findings: Mapped[list[dict[str, object]]] = mapped_column(default=list)
    error: Mapped[str | None] = mapped_column(UnicodeText)
    sandbox: Mapped[dict[str, object] | None]
    drain: Mapped[str | None] = mapped_column(String(8))
    version: Mapped[str] = mapped_column(String(40))
    slots: Mapped[int]
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    current_task_id: Mapped[str | None] = mapped_column(String(40))
    last_task_id: Mapped[str | None] = mapped_column(String(40))
    tasks_completed: Mapped[int] = mapped_column(default=0)
    is_pod: Mapped[bool] = mapped_column(default=False, server_default=false())
    token_sealed: Mapped[str | None] = mapped_column(UnicodeText)
    pod_made_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]

    def move_to(self, new: AgentState, by: By, *, feed: str = PLATFORM, task_id: str | None = None) -> Event:
        """feed: the id of the project whose task the agent takes or leaves, or PLATFORM.

        Everybody reads the platform's feed, so an event there names no task: its project may be restricted.
        """
        self.change_state(new, by)
        return AgentStatus(
            feed=feed,
            subject_task_id=task_id,
            agent_id=self.id,
            status=new,
            last_task_id=None if feed == PLATFORM else self.last_task_id,
        )
