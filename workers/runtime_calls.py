"""What several jobs do at a forge and a runtime: name the source of what is to run, follow a check, make room."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from common.errors import ProviderUnavailable
from common.providers.forge import Forge
from common.providers.runtime import Runtime
from common.services.delivery import rollouts
from common.values.app import Space, Version
from common.values.check import Check, CheckPhase, CheckState, second_run_of
from common.values.place import Place

T = TypeVar("T", Version, Check)

PLACE_SECONDS = 5.0
"""How often a check is looked at that waits for a place to run."""


def sourced(forge: Forge, place: Place, wanted: T) -> T:
    """The version or check with the forge's answer where its code is cloned from."""
    return replace(wanted, source=forge.read_source(place.repository))


def run_check(runtime: Runtime, wanted: Check) -> CheckState:
    """How the check is doing, begun if it was not: running, or with a verdict on the commit.

    ProviderUnavailable, with the reason, where its command has not begun or could not: that is nobody's fault who wrote
    the commit, and may be over later.

    A command that died by a signal is run once more, as a check of its own: the machine may have killed it. The second
    verdict counts, whatever it is.
    """
    state = _run_once(runtime, wanted)
    return _run_once(runtime, wanted.second_run()) if state.died_by_signal else state


def forget_check(runtime: Runtime, space: Space, check_id: str) -> None:
    """Nothing of the check is left, nor of its second run. Safe to repeat."""
    for known in (check_id, second_run_of(check_id)):
        runtime.delete_check(space, known)


def _run_once(runtime: Runtime, wanted: Check) -> CheckState:
    state = runtime.ensure_check(wanted)
    if state.phase is CheckPhase.WAITING:
        give_way(wanted.space, state.code)
        raise ProviderUnavailable(
            f"the check of {wanted.commit} waits: {state.reason}", retry_after_seconds=PLACE_SECONDS
        )
    if state.phase is CheckPhase.BROKEN:
        runtime.delete_check(wanted.space, wanted.check_id)
        raise ProviderUnavailable(f"the check of {wanted.commit} could not be run: {state.reason}")
    return state


def give_way(space: Space, code: str | None) -> None:
    """Previews go, oldest first, where that makes the room that something else of the project's waits for.

    code: `quota`: its own; `no_room`: everybody's, on nodes that are full. Any other room is not theirs to give.
    """
    if code in {"quota", "no_room"}:
        rollouts.make_way(space.project_id if code == "quota" else None)
