"""Reads and changes caps of spending. A change names only what it changes; None removes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from common.events.catalogue import SettingsChanged
from common.jobs.outbox import actor
from common.models.spend import PlatformSetting
from common.services.caps.caps import PLATFORM_CAPS, CapUse, cap_uses, caps_in_force, platform_caps
from common.services.caps.spend_counters import PLATFORM
from common.services.lifecycle import task_states
from common.services.requests.access import Caller
from common.transaction import Snapshot, Transaction, snapshot, transactional
from common.values.states import Role

CapChanges = Mapping[str, float | None]
GroupChanges = Mapping[str, CapChanges | None]
"""Of `task`, `day` and `total`. None removes all of one."""


@dataclass(frozen=True)
class PlatformCaps:
    """The caps of the whole platform. task: of each task. changed_by, changed_at: None if they were never set.

    uses: how much of each cap of `day` and `total` is used.
    """

    task: Mapping[str, float]
    day: Mapping[str, float]
    total: Mapping[str, float]
    changed_by: str | None = None
    changed_at: datetime | None = None
    uses: Sequence[CapUse] = ()


def changed_caps(present: Mapping[str, float], changes: CapChanges) -> dict[str, float]:
    """The caps with the changes."""
    return {name: value for name, value in {**present, **changes}.items() if value is not None}


def changed_groups(present: Mapping[str, object], changes: GroupChanges) -> dict[str, object]:
    """The caps of a project or the platform with the changes; without those that are empty."""
    changed = dict(present)
    for name, change in changes.items():
        before = present.get(name)
        changed[name] = {} if change is None else changed_caps(before if isinstance(before, dict) else {}, change)
    return {name: caps for name, caps in changed.items() if caps}


def read_platform_caps(*, by: Caller) -> PlatformCaps:
    by.require(Role.ADMIN)
    with snapshot() as read:
        return _shown(read, read.get(PlatformSetting, PLATFORM_CAPS))


@transactional
def update_platform_caps(tx: Transaction, changes: GroupChanges, *, by: Caller) -> PlatformCaps:
    """Change the platform's caps. Parked tasks that have room now go on."""
    by.require(Role.ADMIN)
    row = tx.session.get(PlatformSetting, PLATFORM_CAPS, with_for_update=True)
    before = row.value if row is not None else {}
    value = changed_groups(before, changes)
    if changed := _changed_names(before, value):
        tx.record(SettingsChanged(what="caps", change="changed", changed=changed))
    if row is None:
        row = tx.add(PlatformSetting(name=PLATFORM_CAPS, value=value, changed_by=actor(), changed_at=tx.now()))
    row.value, row.changed_by, row.changed_at = value, actor(), tx.now()
    tx.session.flush()
    task_states.resume_capped(tx)
    return _shown(tx, row)


def _changed_names(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[str, ...]:
    """The caps that differ, such as `day.costUsd`."""
    both = [_flat(before), _flat(after)]
    return tuple(sorted(name for name in {**both[0], **both[1]} if both[0].get(name) != both[1].get(name)))


def _flat(groups: Mapping[str, object]) -> dict[str, object]:
    return {
        f"{group}.{name}": value for group, caps in groups.items() if isinstance(caps, dict)
        for name, value in caps.items()
    }  # fmt: skip


def _shown(at: Snapshot | Transaction, row: PlatformSetting | None) -> PlatformCaps:
    if row is None:
        return PlatformCaps({}, {}, {})
    groups = {name: caps for name, caps in row.value.items() if isinstance(caps, dict)}
    sets = [one for one in caps_in_force("", "", {}, {}, platform_caps(at), at.now()) if one.key.scope == PLATFORM]
    return PlatformCaps(
        groups.get("task", {}), groups.get("day", {}), groups.get("total", {}), row.changed_by, row.changed_at,
        cap_uses(at, sets),
    )  # fmt: skip
