"""Calls to the forge and the runtime that several jobs share: add the clone source, run a check, make room,
close a pull request, revoke a credential.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from common.errors import ProviderRefused, ProviderUnavailable
from common.providers.forge import Forge
from common.providers.runtime import Runtime
from common.services.deployment import rollouts
from common.services.proof import test_results
from common.values.delivery.app import ProjectNamespace, Version
from common.values.delivery.project_location import ProjectLocation
from common.values.repository import Repository
from common.values.testing.check import Check, CheckEnd, CheckPhase, CheckState, second_run_of

T = TypeVar("T", Version, Check)

NO_TESTS = 5
"""The exit status of pytest, and of unittest from Python 3.12 on, if there is no test to run."""
SLOT_POLL_SECONDS = 5.0
"""How often to poll a check that waits for a place to run."""


def with_source(forge: Forge, location: ProjectLocation, wanted: T) -> T:
    """Return the version or check with the source from which the runtime clones its code."""
    return replace(wanted, source=forge.read_source(location.repository))


def run_check(runtime: Runtime, wanted: Check, *, may_take_down_previews: bool = True) -> CheckState:
    """Start the check, if needed, and return its state: running, passed or failed. Safe to repeat.

    Raises ProviderUnavailable, with the reason, if the command could not be started (yet): that is no verdict on the
    commit, and a later try may succeed.

    A command that was killed by a signal runs once more, as a second check, because the machine may have killed it. The
    second verdict is final. may_take_down_previews: take down previews if it waits for a place to run. A command that
    exited with NO_TESTS has passed if its report has no test. One that exited with 0 has failed if its report names
    tests that failed, as below `| tee` or `|| true`. Secrets are masked in the names of tests, and nowhere else.
    A check of the same id that began with other settings is ended and begins anew.
    """
    state = _run_once(runtime, wanted, may_take_down_previews)
    if state.died_by_signal:
        state = _run_once(runtime, wanted.second_run(), may_take_down_previews)
    if _has_no_tests(wanted, state):
        return replace(state, phase=CheckPhase.PASSED, reason=None, code=None)
    return test_results.with_masked_names(wanted.space.project_id, state.judged_by_report())


def _has_no_tests(wanted: Check, state: CheckState) -> bool:
    """Whether pytest or unittest says that there is no test, as in a project that is new.

    A report from a location that the project names may be another runner's, for which this exit status means a failure.
    """
    if wanted.test_report is not None or state.code != CheckEnd.EXITED or state.exit_code != NO_TESTS:
        return False
    return state.report is not None and state.report.is_usable and not state.report.tests


def forget_check(runtime: Runtime, space: ProjectNamespace, check_id: str) -> None:
    """Delete the check and its second run. Safe to repeat."""
    for known in (check_id, second_run_of(check_id)):
        runtime.delete_check(space, known)


def _run_once(runtime: Runtime, wanted: Check, may_take_down_previews: bool) -> CheckState:
    state = runtime.ensure_check(wanted)
    if state.settings not in {"", wanted.settings}:
        # The next look starts it, as a runtime may need a moment to end one.
        runtime.delete_check(wanted.space, wanted.check_id)
        return CheckState(CheckPhase.RUNNING, None, "")
    if state.phase is CheckPhase.WAITING:
        if may_take_down_previews:
            take_down_previews_for(wanted.space, state.code)
        raise ProviderUnavailable(
            f"the check of {wanted.commit} waits: {state.reason}", retry_after_seconds=SLOT_POLL_SECONDS
        )
    if state.phase is CheckPhase.BROKEN:
        runtime.delete_check(wanted.space, wanted.check_id)
        raise ProviderUnavailable(f"the check of {wanted.commit} could not be run: {state.reason}")
    return state


def take_down_previews_for(space: ProjectNamespace, code: str | None) -> None:
    """Take down previews, oldest first, if a check or an environment of the project waits for room.

    code: `quota`: take down the project's own previews; `no_room` (the nodes are full): any project's. No-op for any
    other code, because fewer previews would not help.
    """
    if code in {"quota", "no_room"}:
        rollouts.take_down_oldest_preview(space.project_id if code == "quota" else None)


def close_pull(
    forge: Forge, repository: Repository, number: int, *, head: str, merged_commit: str | None = None
) -> None:
    """As Forge.close_pull_request; one that a person removed is nothing to close."""
    try:
        forge.close_pull_request(repository, number, head=head, merged_commit=merged_commit)
    except ProviderRefused as error:
        if error.code != "no_pull_request":
            raise


def revoke_credential(forge: Forge, location: ProjectLocation, run_id: str) -> bool:
    """Revoke the run's credential at the forge. Safe to repeat.

    Also if the repository is removed already, or has lost the mark of the platform.

    Returns whether the credential is removed completely: if not, the caller repeats the call some seconds later.
    """
    try:
        return forge.delete_credential(location.repository, run_id=run_id)
    except ProviderRefused as error:
        if error.code not in {"no_repository", "foreign"}:
            raise
        return True
