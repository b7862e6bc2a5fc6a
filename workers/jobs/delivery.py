"""Jobs of delivery: build and test a group's branch, deploy versions to environments and keep them running."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping

import structlog

from common.errors import ProviderRefused, ProviderUnavailable
from common.jobs import catalogue
from common.machine.text import path_text
from common.providers.forge import MergeConflict, forge
from common.providers.runtime import runtime
from common.services.delivery import group_statuses, group_tests, merging
from common.services.delivery.merging import FinishPlan, MergePlan, Step
from common.services.deployment import restoring, rollouts
from common.services.deployment.receipt_contents import LiveVersionFacts
from common.services.deployment.restoring import LiveApp
from common.services.deployment.rollouts import RolloutPlan
from common.services.proof import red_base
from common.services.proof.test_results import record_run
from common.values.delivery.app import MACHINE, App, AppPhase, AppState
from common.values.delivery.health_check import HealthObservation, HealthState
from common.values.names import STAGING_BRANCH
from common.values.states import Environment
from common.values.testing.check import CheckPhase
from workers.execution.job_run import Claimed, job
from workers.execution.provider_calls import close_pull, forget_check, run_check, take_down_previews_for, with_source
from workers.jobs.rollback_barrier import read_barrier
from workers.proof.forge import statuses
from workers.proof.forge.commit_reads import undone_by
from workers.proof.forge.default_branch import default_head
from workers.proof.quarantined_runs import failed_in_quarantine, forget_without, run_without, without_quarantined

log = structlog.get_logger()

POLL_SECONDS = 0.5
"""How often to poll a starting version or a running test."""
FIRST_POLL_SECONDS = 0.05
"""After this a version is looked at again for the first time: many are healthy by then, or have nothing to run."""
MOST_FILES = 50
"""Most paths that are named of those in which a task conflicts with others, or takes back another's work."""

BASE_MOVED = "base_moved"
"""Code of a deployment that failed as the default branch was moved by somebody else."""
MOVED = frozenset({"head_moved", "not_fast_forward"})
"""Codes of the forge for a branch that was moved by somebody else. With any other one, the forge takes no push."""

SEEN = {
    AppPhase.LIVE: HealthState.HEALTHY,
    AppPhase.STARTING: HealthState.STARTING,
    AppPhase.FAILED: HealthState.FAILING,
}


@job(catalogue.MERGE_GROUP, parked=merging.fail_merge)
def merge_group(job: Claimed) -> None:
    plan = merging.begin_merge(job.lease)
    if plan is None:
        return
    try:
        STEPS[plan.step](job, plan)
    except ProviderRefused as error:
        is_of_task = plan.step is Step.MERGE
        if error.code == "head_moved":
            merging.record_head_moved(job.lease)
        elif is_of_task and error.code == "unrelated":
            merging.record_unrelated(job.lease, plan)
        else:
            reason = f"the task {plan.title!r} can't be merged: {error.message}" if is_of_task else error.message
            merging.record_merge_refused(job.lease, plan, reason)


def _forget(job: Claimed, plan: MergePlan) -> None:
    for check_id in plan.left:
        try:
            forget_without(runtime(), plan.location.space, check_id)
            forget_check(runtime(), plan.location.space, check_id)
        except ProviderRefused as error:
            # It ends by its own time limit. The group does not depend on it.
            log.warning("a test can't be stopped", check=check_id, reason=error.message)
    merging.record_forgotten(job.lease, plan)


def _start(job: Claimed, plan: MergePlan) -> None:
    repository = plan.location.repository
    base = default_head(forge(), plan.location)
    forge().advance(repository, plan.branch, old=forge().read_head(repository, plan.branch), new=base, force=True)
    merging.record_started(job.lease, base_sha=base)


def _merge(job: Claimed, plan: MergePlan) -> None:
    job.progress(f"merging {plan.title}")
    repository, onto = plan.location.repository, plan.expected_head
    if undone := undone_by(forge(), repository, base=plan.base_sha, onto=onto, head=plan.commit_sha):
        merging.record_taking_back(job.lease, plan, files=[path_text(path) for path in undone[:MOST_FILES]])
        return
    result = forge().merge(
        repository,
        into=plan.branch,
        commit=plan.commit_sha,
        expected_head=onto,
        message=f"Merge: {plan.title}\n\nTask: {plan.task_id}",
    )
    if isinstance(result, MergeConflict):
        merging.record_conflict(job.lease, plan, files=result.files[:MOST_FILES])
    else:
        merging.record_merged_member(job.lease, plan, head_sha=result.commit)


def _test(job: Claimed, plan: MergePlan) -> None:
    trial = plan.trial
    assert trial is not None
    if trial.check is None:
        group_tests.record_untested(job.lease, trial)
        return
    job.progress("testing the merged branch" if trial.position else "testing the default branch")
    check = with_source(forge(), plan.location, trial.check)
    tested = run_check(runtime(), check)
    ignored = failed_in_quarantine(tested, trial.quarantined)
    decisive = tested
    if ignored:
        check = without_quarantined(check, trial.quarantined)
        decisive = run_without(runtime(), check, trial.quarantined)
    if decisive.phase is CheckPhase.RUNNING:
        group_tests.record_testing(job.lease, after_seconds=seconds_until_next_check(trial.seconds))
        return
    known = record_run(trial.check, tested, run=trial.number, is_landed=trial.position == 0)
    if ignored:
        known = record_run(check, decisive, run=trial.number, is_landed=trial.position == 0)
    if trial.position == 0:
        red_base.record_base(plan.location.space.project_id, trial.check.commit, known, ignored=trial.quarantined)
    passed = decisive.phase is CheckPhase.PASSED
    group_tests.record_tested(
        job.lease, trial, passed=passed, reason=decisive.reason or "", log=decisive.log,
        ignored=ignored if passed else (),
    )  # fmt: skip
    forget_without(runtime(), plan.location.space, trial.check.check_id)
    forget_check(runtime(), plan.location.space, trial.check.check_id)


def _await_statuses(job: Claimed, plan: MergePlan) -> None:
    awaited = plan.awaited
    assert awaited is not None
    job.progress("waiting for the repository's own CI")
    result = statuses.statuses_of(forge(), plan.location.repository, awaited.commit_sha, awaited.required)
    group_statuses.record_statuses(job.lease, awaited, result, after_seconds=statuses.POLL_SECONDS)


def _stage(job: Claimed, plan: MergePlan) -> None:
    merging.record_staging(job.lease)


STEPS = {
    Step.FORGET: _forget,
    Step.START: _start,
    Step.MERGE: _merge,
    Step.TEST: _test,
    Step.STATUSES: _await_statuses,
    Step.STAGE: _stage,
}


@job(catalogue.FINISH_GROUP, parked=merging.fail_finish)
def finish_group(job: Claimed) -> None:
    plan = merging.begin_finish(job.lease)
    if plan is None:
        return
    refused = _close_pulls(plan)
    remark = None
    try:
        remark = _tag(plan)
    except ProviderRefused as error:
        refused.append(error.message)
    if refused:
        # A person has to solve this and can then retry the job.
        raise ProviderRefused(f"delivered, but {'; '.join(refused)}; then retry the job group.finish of this group")
    merging.record_finished(job.lease, remark=remark)


def _close_pulls(plan: FinishPlan) -> list[str]:
    """Try to close every pull request; return the reasons of those that can't be closed."""
    refused = []
    for number, branch in plan.pull_requests:
        try:
            close_pull(forge(), plan.location.repository, number, head=branch, merged_commit=plan.commit_sha)
        except ProviderRefused as error:
            refused.append(f"pull request #{number} could not be closed as merged: {error.message}")
    return refused


def _tag(plan: FinishPlan) -> str | None:
    """Tag the release. If its tag points at another commit, use the spare name and return a remark about it."""
    try:
        forge().ensure_tag(plan.location.repository, plan.tag, at=plan.commit_sha)
    except ProviderRefused as error:
        try:
            forge().ensure_tag(plan.location.repository, plan.spare_tag, at=plan.commit_sha)
        except ProviderRefused as again:
            raise ProviderRefused(f"the release is not tagged: {again.message}; delete that tag or branch") from error
        return f"this release is tagged {plan.spare_tag}, because {error.message}"
    return None


@job(catalogue.DEPLOY, parked=rollouts.fail_rollout)
def deploy(job: Claimed) -> None:
    plan = rollouts.begin_rollout(job.lease)
    if plan is None:
        return
    if _has_moved(plan):
        reason = f"the default branch {plan.location.default_branch} moved in the meantime"
        rollouts.record_failed(job.lease, code=BASE_MOVED, reason=reason, rebuild=True)
        return
    state = _put_back(plan) or _ensure(plan)
    if state.phase is AppPhase.STARTING:
        _wait(job, plan, state)
    elif state.phase is AppPhase.FAILED:
        code, reason = state.code or "failed", state.reason or "it did not become healthy"
        rollouts.record_failed(job.lease, code=code, reason=reason)
    else:
        _complete(job, plan, state)


def _wait(job: Claimed, plan: RolloutPlan, state: AppState) -> None:
    """Record that the version is still starting. Without room for it, staging and production replace previews."""
    if plan.environment is not Environment.PREVIEW:
        take_down_previews_for(plan.location.space, state.code)
    message = state.reason or f"healthy for {state.checked_seconds:.0f} of {plan.version.spec.health.seconds:.0f} s"
    after_seconds = seconds_until_next_check(plan.started_seconds)
    rollouts.record_progress(job.lease, message=message, url=state.url, after_seconds=after_seconds)


def seconds_until_next_check(started_seconds: float) -> float:
    """How long to wait before the next look at what started this long ago: longer each time."""
    return min(POLL_SECONDS, max(FIRST_POLL_SECONDS, started_seconds / 2))


def _ensure(plan: RolloutPlan) -> AppState:
    try:
        return runtime().ensure_app(plan.app, with_source(forge(), plan.location, plan.version))
    except ProviderRefused as error:
        return AppState(AppPhase.FAILED, url="", live_version_id=None, reason=error.message, code=error.code)


def _put_back(plan: RolloutPlan) -> AppState | None:
    """Have the version before serve if the runtime knows neither it nor the new one, as the local runtime after it was
    restarted: until the new one is healthy, nothing would serve.

    Returns its state while it starts. None: go on with the new one.
    """
    before = plan.previous if plan.is_previous_well else None
    if before is None or runtime().read_app(plan.app, plan.version.version_id) is not None:
        return None
    state = runtime().read_app(plan.app, before.version_id)
    try:
        state = state or runtime().ensure_app(plan.app, with_source(forge(), plan.location, before))
    except ProviderRefused:
        return None
    # One that waits for room, is restarted again and again, or does not answer any more, must not keep the new one from
    # being started.
    is_coming = state.phase is AppPhase.STARTING and state.code is None and not state.restarts and not state.was_live
    return dataclasses.replace(state, reason="the version that served before is started again") if is_coming else None


def _has_moved(plan: RolloutPlan) -> bool:
    """Whether the default branch is neither at the group's base nor, after a lost answer, at its version already."""
    if plan.advance_from is None:
        return False
    head = forge().read_head(plan.location.repository, plan.location.default_branch)
    return head not in {plan.advance_from, plan.version.commit}


def _complete(job: Claimed, plan: RolloutPlan, state: AppState) -> None:
    """The version serves: move the default branch or the staging branch to it, then record it as live."""
    repository, commit = plan.location.repository, plan.version.commit
    try:
        if plan.advance_from is not None:
            forge().advance(repository, plan.location.default_branch, old=plan.advance_from, new=commit)
        if plan.environment is Environment.STAGING:
            old = forge().read_head(repository, STAGING_BRANCH)
            forge().advance(repository, STAGING_BRANCH, old=old, new=commit, force=True)
    except ProviderRefused as error:
        # Another push moved the branch first, or the forge takes none: put the previous version back at once.
        if plan.previous is not None:
            runtime().ensure_app(plan.app, with_source(forge(), plan.location, plan.previous))
        has_moved = error.code in MOVED
        code = BASE_MOVED if has_moved else "push_refused"
        rollouts.record_failed(job.lease, code=code, reason=error.message, rebuild=has_moved)
        return
    served = None
    if plan.environment is Environment.PRODUCTION:
        served = LiveVersionFacts(forge().read_tree(repository, commit), state.image)
    barrier = read_barrier(forge(), repository, commit, plan.older)
    rollouts.record_live(job.lease, url=state.url, barrier=barrier, served=served)


@job(catalogue.TAKE_DOWN)
def take_down(job: Claimed) -> None:
    app = rollouts.begin_take_down(job.lease)
    if app is not None:
        runtime().delete_app(app)
        rollouts.record_taken_down(job.lease)


@job(catalogue.RESTORE_RUNTIME)
def restore_runtime(job: Claimed) -> None:
    running = {(namespace, name): version_id for namespace, name, version_id in runtime().list_apps()}
    plan = restoring.begin_restore(job.lease, set(running))
    unavailable: list[ProviderUnavailable] = []
    for orphan in plan.orphans:
        with _alone(orphan, unavailable):
            runtime().delete_app(orphan)
    seen = _seen(plan.live, running, unavailable)
    if unavailable and not seen:
        raise unavailable[0]
    failing = [each for live, state in seen if (each := _failing_version(live, state)) is not None]
    restoring.record_restored(job.lease, failing, [_look(live, state) for live, state in seen])


def _seen(
    apps: Iterable[LiveApp], running: Mapping[tuple[str, str], str | None], unavailable: list[ProviderUnavailable]
) -> list[tuple[LiveApp, AppState]]:
    """The live apps that could be looked at, with their states. Adds to `unavailable` why others could not."""
    seen = []
    for live in apps:
        with _alone(live.app, unavailable):
            state = _restored(live, running.get((live.app.space.namespace, live.app.name)))
            if state is not None:
                seen.append((live, state))
    return seen


@contextlib.contextmanager
def _alone(app: App, unavailable: list[ProviderUnavailable]) -> Iterator[None]:
    """Do not let what fails for one app affect the others: log it, and add it to `unavailable` if it may pass."""
    try:
        yield
    except ProviderRefused as error:
        # Such as a broken repository: an older version can't be cloned either.
        log.warning("an app can't be restored", namespace=app.space.namespace, app=app.name, reason=error.message)
    except ProviderUnavailable as error:
        # Such as a namespace that is being deleted, which may never end.
        log.warning("an app can't be restored now", namespace=app.space.namespace, app=app.name, reason=str(error))
        unavailable.append(error)


def _failing_version(live: LiveApp, state: AppState) -> restoring.FailingVersion | None:
    if state.phase is AppPhase.FAILED:
        return restoring.FailingVersion(live.version.version_id, state.reason or "it keeps crashing", state.code)
    if state.phase is AppPhase.STARTING and live.is_held:
        return restoring.FailingVersion(live.version.version_id, "it is being restarted", MACHINE)
    return None


def _look(live: LiveApp, state: AppState) -> HealthObservation:
    return HealthObservation(
        live.version.version_id, SEEN[state.phase], state.restarts, state.reason, state.url or None
    )


def _restored(live: LiveApp, running: str | None) -> AppState | None:
    """Return the state of a live app. It is deployed again first if another version runs or its guard setting differs.

    running: the version that the runtime lists for this app, None if none. Returns None if the version is to serve no
    more.
    """
    is_retried = False
    state = runtime().read_app(live.app, live.version.version_id)
    if state is not None and running == live.version.version_id and state.is_guarded in {None, live.app.is_guarded}:
        is_retried = state.phase is AppPhase.FAILED and (live.is_held or state.code == MACHINE)
        if not is_retried:
            _ensure_secrets(live, state)
            return state
    wanted = with_source(forge(), live.location, dataclasses.replace(live.version, is_retried=is_retried))
    # Another version may have gone live since the job began, which looks at one app after the other.
    return runtime().ensure_app(live.app, wanted) if restoring.should_serve(live.version.version_id) else None


def _ensure_secrets(live: LiveApp, state: AppState) -> None:
    """Have the app's secrets written again if a new pod may lack them, as after the platform's token was renewed.

    If that is not possible now, such as with the forge away, the next look does it: what was seen counts all the same.
    """
    if not state.may_lack_secrets:
        return
    with contextlib.suppress(ProviderRefused, ProviderUnavailable):
        wanted = with_source(forge(), live.location, live.version)
        if restoring.should_serve(live.version.version_id):
            runtime().ensure_app(live.app, wanted)
