"""Runs of the tests without those in quarantine, where only those failed.

A failing test hides what fails beside or behind it: another step of the command, or all later tests, as with
`pytest -x`. So the exit status of a run without them decides.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from common.providers.runtime import Runtime
from common.values.delivery.app import ProjectNamespace
from common.values.testing.check import Check, CheckEnd, CheckState
from workers.execution.provider_calls import NO_TESTS, forget_check, run_check

MOST_RUNS = 2


def failed_in_quarantine(state: CheckState, quarantined: Collection[str]) -> frozenset[str]:
    """The tests that failed, if none failed but tests in quarantine."""
    if state.code != CheckEnd.EXITED or state.report is None:
        return frozenset()
    red = frozenset(state.report.red())
    return red if red <= set(quarantined) else frozenset()


def without_quarantined(check: Check, quarantined: Collection[str]) -> Check:
    """The check that leaves them out, as far as the runner can."""
    return replace(check, check_id=without_id(check.check_id), left_out=tuple(sorted(quarantined)))


def run_without(runtime: Runtime, without: Check, quarantined: Collection[str]) -> CheckState:
    """Run a check of `without_quarantined`, and return its state: running, passed or failed. Safe to repeat.

    A runner that can't leave the tests out runs them again; so the check runs MOST_RUNS times if nothing else fails, as
    a flaky test may be green in one of them. It runs with them, too, after a run in which none was left. Raises
    ProviderUnavailable if the command can't be started yet.
    """
    number = failed = 0
    while failed < MOST_RUNS:
        number += 1
        state = run_check(runtime, replace(without, check_id=_try_id(without.check_id, number)))
        if state.exit_code == NO_TESTS and without.left_out:
            # A call of the runner found no other test, and may have kept the command from its other steps.
            without = replace(without, left_out=())
        elif failed_in_quarantine(state, quarantined):
            failed += 1
        else:
            break
    return state


def forget_without(runtime: Runtime, space: ProjectNamespace, check_id: str) -> None:
    """Delete the runs without them of the check of this id. Safe to repeat."""
    for number in range(1, MOST_RUNS + 2):
        forget_check(runtime, space, _try_id(without_id(check_id), number))


def without_id(check_id: str) -> str:
    """The id of the check that leaves out what this one does not."""
    return f"{check_id}-without"


def _try_id(check_id: str, number: int) -> str:
    return check_id if number == 1 else f"{check_id}-try{number}"
