"""Caps of spending: how much of money, tokens, minutes and runs a task, a project and the platform may use.

A set of caps is `{tokens?, costUsd?, minutes?, runs?}`; what it does not name is not capped. A task has its own, those
that it lacks come from its project's `task`, then from the platform's. A project and the platform have `day` (UTC) and
`total`. Tokens are input, cache writes and output.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import cast

from sqlalchemy import case, func, select

from common.database.compiled_statements import Statement
from common.models.project import Project
from common.models.run import Run
from common.models.spend import PlatformSetting
from common.models.task import Task
from common.services.caps.spend_counters import (
    ALL,
    PLATFORM,
    PROJECT,
    TASK,
    Counter,
    Key,
    end_of_work,
    read_counters,
)
from common.transaction import Snapshot, Transaction
from common.values.testing.agent_review import Purpose

NAMES = ("tokens", "costUsd", "minutes", "runs")
WHILE_AT_WORK = ("tokens", "costUsd", "minutes")
"""The caps that end a run. A run that has begun is within the cap of runs."""
PLATFORM_CAPS = "caps"
"""The platform's setting."""
WARNED_FROM = 0.8
"""The share of a cap at which people are warned."""

OBSTACLE = "A cap of spending is reached"
"""How the error of a task begins that can't start because of a cap."""

Caps = Mapping[str, float]

_PLATFORM_CAPS = Statement(lambda: select(PlatformSetting.value).where(PlatformSetting.name == PLATFORM_CAPS))


@dataclass(frozen=True)
class CapSet:
    """The caps on one total. key: whose, and of which period."""

    key: Key
    caps: Caps


@dataclass(frozen=True)
class CapUse:
    """A cap and how much of it is used. cap: one of NAMES."""

    key: Key
    cap: str
    limit: float
    used: float

    @property
    def scope(self) -> str:
        return self.key.scope

    @property
    def period(self) -> str:
        """`day` or `total`."""
        return "total" if self.key.period == ALL else "day"

    @property
    def is_reached(self) -> bool:
        return self.used >= self.limit


@dataclass(frozen=True)
class ReachedCap:
    """A cap that leaves no room. until: when it does again by itself; None: when a person raises it."""

    use: CapUse
    until: datetime | None

    @property
    def reason(self) -> str:
        """Sentences for people: what is used up, and what to do."""
        amount, most = _used_amount(self.use), _amount(self.use.cap, self.use.limit)
        used = f"The {self.use.scope} has used {amount} of {most}{' today (UTC)' if self.until is not None else ''}."
        remedy = f"{self._who} can raise the {self._cap}: then the task goes on{self._by_itself}."
        return f"{used} {remedy}"

    @property
    def obstacle(self) -> str:
        """Like reason, for a task that has not begun. It does not change while more is used."""
        most = _amount(self.use.cap, self.use.limit)
        return (
            f"{OBSTACLE}: the {self._cap} is {most}. {self._who} can raise it: then the task begins{self._by_itself}."
        )

    @property
    def _who(self) -> str:
        return {TASK: "A member", PROJECT: "A maintainer", PLATFORM: "An administrator"}[self.use.scope]

    @property
    def _cap(self) -> str:
        return f"{self.use.scope}'s {'daily ' if self.until is not None else ''}cap"

    @property
    def _by_itself(self) -> str:
        return "" if self.until is None else f", or it does so by itself on {self.until:%Y-%m-%d} at 00:00 UTC"


def _used_amount(use: CapUse) -> str:
    used = f"{use.used:,.4f}" if use.cap == "costUsd" else f"{use.used:,.1f}" if use.cap == "minutes" else None
    return used or f"{use.used:,.0f}"


def _amount(cap: str, value: float) -> str:
    return f"{value:,.13g} {'USD' if cap == 'costUsd' else cap}"


def caps_in_force(
    task_id: str, project_id: str, of_task: Caps, of_project: Mapping[str, object], of_platform: Mapping[str, object],
    now: datetime,
) -> list[CapSet]:  # fmt: skip
    """The caps that hold for a task, without empty sets; those that end with the day are last.

    of_task, of_project, of_platform: as they are stored.
    """
    today = now.astimezone(UTC).date().isoformat()
    sets = [
        CapSet(Key(TASK, task_id, ALL), {**_part(of_platform, "task"), **_part(of_project, "task"), **of_task}),
        CapSet(Key(PROJECT, project_id, ALL), _part(of_project, "total")),
        CapSet(Key(PLATFORM, "", ALL), _part(of_platform, "total")),
        CapSet(Key(PROJECT, project_id, today), _part(of_project, "day")),
        CapSet(Key(PLATFORM, "", today), _part(of_platform, "day")),
    ]
    return [one for one in sets if one.caps]


def _part(caps: Mapping[str, object], name: str) -> Caps:
    return cast("Caps", caps.get(name) or {})


def platform_caps(at: Snapshot | Transaction) -> dict[str, object]:
    """The platform's caps as they are stored."""
    found = at.rows(_PLATFORM_CAPS)
    return dict(found[0][0] or {}) if found else {}


def has_cap_of_runs(caps: Mapping[str, object]) -> bool:
    """Whether all tasks of a project, or of the platform, share a cap of runs. caps: of it, as they are stored."""
    return any("runs" in _part(caps, period) for period in ("day", "total"))


def lock_platform_cap_of_runs(tx: Transaction) -> None:
    """Lock the platform's caps if one is a cap of runs. Call it before any other row is locked."""
    if has_cap_of_runs(platform_caps(tx)):
        tx.session.get(PlatformSetting, PLATFORM_CAPS, with_for_update=True)


def caps_of_task(at: Snapshot | Transaction, task: Task, project: Project | None = None) -> list[CapSet]:
    """The caps that hold for a task now. project: the task's; None: it is read."""
    of_project = project.caps if project is not None else _caps_of_project(at, task.project_id)
    return caps_in_force(task.id, task.project_id, task.caps, of_project, platform_caps(at), at.now())


def _caps_of_project(at: Snapshot | Transaction, project_id: str) -> Mapping[str, object]:
    return at.session.execute(select(Project.caps).where(Project.id == project_id)).scalar_one_or_none() or {}


def cap_uses(at: Snapshot | Transaction, sets: Sequence[CapSet]) -> list[CapUse]:
    """How much of each cap is used now, in the order of the sets. The time of live runs counts up to now."""
    if not sets:
        return []
    return uses_of(sets, read_counters(at, [one.key for one in sets]), live_runs_for(at, sets))


def uses_of(sets: Sequence[CapSet], counters: Mapping[Key, Counter], live: LiveRuns) -> list[CapUse]:
    """How much of each cap is used, by what was read. A counter that is missing is zero."""
    return [
        CapUse(one.key, name, one.caps[name], _used(name, one.key, counters.get(one.key, Counter()), live))
        for one in sets
        for name in NAMES
        if name in one.caps
    ]


def live_runs_for(at: Snapshot | Transaction, sets: Sequence[CapSet]) -> LiveRuns:
    """The live runs; none if no cap of the sets depends on them."""
    has_runs = any(name in one.caps for one in sets for name in ("minutes", "runs"))
    return LiveRuns.read(at) if has_runs else LiveRuns([], datetime.now(UTC))


def _used(name: str, key: Key, counter: Counter, live: LiveRuns) -> float:
    spent = counter.spent
    if name == "minutes":
        return (spent.seconds + live.seconds(key)) / 60
    if name == "runs":
        return spent.runs + live.unclaimed(key)
    return spent.tokens if name == "tokens" else spent.cost_usd


@dataclass(frozen=True)
class LiveRuns:
    """The runs that are not over: (task, project, when it was claimed, until when it has been at work)."""

    runs: Sequence[tuple[str, str, datetime | None, datetime]]
    now: datetime

    @classmethod
    def read(cls, at: Snapshot | Transaction) -> LiveRuns:
        # A review counts for none of the caps of runs, so it is never one that is still to be counted.
        began = case(
            (Run.purpose == Purpose.REVIEW, func.coalesce(Run.started_at, Run.created_at)), else_=Run.started_at
        )
        query = select(Run.task_id, Run.project_id, began, Run.seen_at).where(Run.live_task_id.is_not(None))
        now = at.now()
        rows = at.session.execute(query)
        return cls([(row[0], row[1], row[2], end_of_work(None, row[3], None, now)) for row in rows], now)

    def seconds(self, key: Key) -> float:
        """How long those that were claimed have been at work in the key's period."""
        midnight = datetime.combine(self.now.date(), time(), UTC)
        times = [(started_at, until) for started_at, until in self._of(key) if started_at is not None]
        since = [(start if key.period == ALL else max(start, midnight), until) for start, until in times]
        return sum(max(0.0, (until - start).total_seconds()) for start, until in since)

    def unclaimed(self, key: Key) -> int:
        """Those that are not counted yet, as no agent has claimed them."""
        return sum(started_at is None for started_at, _until in self._of(key))

    def _of(self, key: Key) -> list[tuple[datetime | None, datetime]]:
        return [
            (started_at, until)
            for task_id, project_id, started_at, until in self.runs
            if key.subject_id == {TASK: task_id, PROJECT: project_id, PLATFORM: ""}[key.scope]
        ]


def first_reached(uses: Iterable[CapUse], names: Sequence[str] = NAMES) -> ReachedCap | None:
    """The first of the caps with these names that leaves no room; None if each leaves some."""
    for use in uses:
        if use.cap in names and use.is_reached:
            return ReachedCap(use, _end_of(use.key.period))
    return None


def _end_of(period: str) -> datetime | None:
    if period == ALL:
        return None
    return datetime.combine(datetime.fromisoformat(period).date() + timedelta(days=1), time(), UTC)


def reached_cap(at: Snapshot | Transaction, task: Task, *, is_at_work: bool = False) -> ReachedCap | None:
    """The cap for which the task may not go on now; None if it may. One that lasts comes before one of the day.

    is_at_work: of a run that has begun, which the cap of runs allows.
    """
    sets = caps_of_task(at, task)
    # Before the counters: a run that is claimed between the two reads is then counted twice, not left out.
    live = live_runs_for(at, sets)
    uses = uses_of(sets, read_counters(at, [one.key for one in sets]), live)
    return first_reached(uses, WHILE_AT_WORK if is_at_work else NAMES)


def minutes_left(at: Snapshot | Transaction, task: Task, project: Project) -> float | None:
    """The least that the caps of minutes leave to a run of the task; None: as long as it likes."""
    uses = cap_uses(at, caps_of_task(at, task, project))
    left = [use.limit - use.used for use in uses if use.cap == "minutes"]
    return max(0.0, min(left)) if left else None


def notable_caps(at: Snapshot | Transaction, task: Task, project: Project) -> list[CapUse]:
    """The caps that hold for the task of which most is used."""
    return [use for use in cap_uses(at, caps_of_task(at, task, project)) if use.used >= WARNED_FROM * use.limit]
