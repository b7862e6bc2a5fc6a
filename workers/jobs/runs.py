"""Jobs of tasks and runs: schedule tasks, prepare, close and verify runs, publish and clean up tasks."""

from __future__ import annotations

from itertools import chain

from common.errors import AccessDenied, AnotherKey, CutShort, ProviderRefused, ProviderUnavailable
from common.jobs import catalogue
from common.providers.forge import forge
from common.providers.runtime import runtime
from common.services.agent_api import steering
from common.services.agents import scheduling
from common.services.deployment import publishing
from common.services.proof import verification
from common.services.proof.verification import CheckResult, ProofPlan
from common.services.review import agent_review
from common.services.runs import preparation
from common.services.runs.preparation import RunPlan
from common.values.delivery.project_location import ProjectLocation
from common.values.repository import Credential
from common.values.testing.agent_review import AGENT_REVIEW
from workers.execution.job_run import Claimed, job
from workers.execution.provider_calls import close_pull, revoke_credential
from workers.proof.forge import statuses
from workers.proof.forge.default_branch import NoDefaultBranch, default_head
from workers.proof.forge.forge_checks import NO_DEFAULT_BRANCH, examine
from workers.proof.scans.checks import scan
from workers.proof.test_checks import TestProof

PAUSES = {verification.STATUSES: statuses.POLL_SECONDS, AGENT_REVIEW: 5.0, NO_DEFAULT_BRANCH: 15.0}
"""How often to look at what others do, in seconds, by the check's code or name. The end of a review rings at once."""
CLOSE_SECONDS = 10.0
"""How long the forge may take to process a run's last push before its credential is removed completely."""
OF_THE_TASK = frozenset({"bad_name", "protected"})
"""Error codes of a forge that concern only this task's branch; other codes concern every run of the project."""


@job(catalogue.SCHEDULE_TASKS)
def schedule_tasks(job: Claimed) -> None:
    scheduling.schedule_tasks(job.lease)


@job(catalogue.PREPARE_RUN, parked=preparation.fail_prepare)
def prepare_run(job: Claimed) -> None:
    try:
        plan = preparation.begin_prepare(job.lease)
    except AnotherKey as error:
        preparation.record_unprepared(job.lease, str(error))
        return
    if plan is None:
        return
    try:
        credential, base = _branch_and_credential(plan)
    except (ProviderRefused, ProviderUnavailable) as error:
        _record_unprepared(job, plan, error)
        return
    preparation.record_prepared(job.lease, username=credential.username, password=credential.password, base_sha=base)


def _branch_and_credential(plan: RunPlan) -> tuple[Credential, str]:
    """Create the run's branch and credential. Returns the credential and the default branch's head."""
    repository = plan.location.repository
    base = default_head(forge(), plan.location)
    if not plan.is_review:
        forge().ensure_branch(repository, plan.branch, at=base)
    may_push = not plan.is_review
    return forge().ensure_credential(repository, branch=plan.branch, run_id=plan.run_id, may_push=may_push), base


def _record_unprepared(job: Claimed, plan: RunPlan, error: ProviderRefused | ProviderUnavailable) -> None:
    """Record that the run can't be prepared, which frees its agent. Raises the error again if a retry may help."""
    if isinstance(error, ProviderRefused) and error.code in OF_THE_TASK:
        preparation.record_prepare_refused(job.lease, error.message)
    elif isinstance(error, ProviderRefused | CutShort | AccessDenied) or plan.is_overdue:
        preparation.record_unprepared(job.lease, str(error))
    else:
        raise error


@job(catalogue.RELEASE_RUN)
def release_run(job: Claimed) -> None:
    steering.release_run(job.lease)


@job(catalogue.CLOSE_RUN)
def close_run(job: Claimed) -> None:
    plan = preparation.begin_close(job.lease)
    if plan is not None and not revoke_credential(forge(), plan.location, plan.run_id):
        preparation.record_closing(job.lease, after_seconds=CLOSE_SECONDS)


@job(catalogue.VERIFY_RUN, parked=verification.give_up_proof)
def verify_run(job: Claimed) -> None:
    plan = _begin_proof(job)
    if plan is None:
        return
    proof = TestProof(forge(), runtime(), plan)
    if plan.is_void:
        # Its tests would take the place of others until their time is up.
        proof.forget()
        return
    results = _results(job, plan, proof)
    if results[-1].status == "running":
        verification.record_checks(job.lease, results, after_seconds=PAUSES.get(results[-1].code or results[-1].name))
        return
    if results[-1].status == "failed":
        verification.record_refused(job.lease, results)
    else:
        verification.record_proven(job.lease, results)
    proof.forget()


def _begin_proof(job: Claimed) -> ProofPlan | None:
    """As `verification.begin_proof`. If the secret key does not open what the tests need, the task says so, too."""
    try:
        return verification.begin_proof(job.lease)
    except AnotherKey as error:
        verification.record_tests_wait(job.lease, [], str(error))
        raise


def _results(job: Claimed, plan: ProofPlan, proof: TestProof) -> list[CheckResult]:
    """The checks of the proof in their order, up to one that fails or has to wait. Raises as `_add_tests`."""
    results = examine(forge(), plan.location.repository, plan)
    if results[-1].status not in {"failed", "running"}:
        _add_tests(job, plan, proof, results)
    return results


def _add_tests(job: Claimed, plan: ProofPlan, proof: TestProof, results: list[CheckResult]) -> None:
    """Add the scans, the checks that run the tests, that of the repository's own CI, and the review, up to one that
    fails or has to wait.

    If they can't start, records the reason on the task and raises ProviderUnavailable again. Raises it too if the
    default branch has moved in between, so that nothing can be compared with it.
    """
    try:
        for result in chain(scan(forge(), plan), proof.results()):
            results.append(result)
            if result.status in {"failed", "running"}:
                return
    except ProviderUnavailable as error:
        verification.record_tests_wait(job.lease, results, str(error))
        raise
    except ProviderRefused as error:
        if error.code == "too_many_files":
            message = (
                "The repository has too many files to find those that define how the tests run: a maintainer can empty "
                "testSetup in the project's settings."
            )
            results.append(CheckResult("test_setup", "failed", message, code="diff_too_large"))
            return
        if error.code != "several_bases":
            raise
        # The default branch has moved since `examine`, which will refuse the commit.
        raise ProviderUnavailable(error.message) from error
    # The repository's own CI began with the push, so it runs while the tests do.
    results += statuses.required_statuses(forge(), proof.plan)
    # An opinion costs money: it is asked for only of what is proven otherwise.
    if plan.is_reviewed and results[-1].status not in {"failed", "running"}:
        results += filter(None, [agent_review.advance_review(job.lease)])


def _await_default_branch(location: ProjectLocation) -> None:
    """Raise ProviderUnavailable while the default branch is missing: the task, which is proven, can't help it."""
    try:
        default_head(forge(), location)
    except NoDefaultBranch as error:
        raise ProviderUnavailable(error.message) from error


@job(catalogue.PUBLISH_TASK, parked=publishing.give_up_publish)
def publish_task(job: Claimed) -> None:
    plan = publishing.begin_publish(job.lease)
    if plan is None:
        return
    repository = plan.location.repository
    try:
        _await_default_branch(plan.location)
        pull = forge().ensure_pull_request(
            repository, head=plan.branch, base=plan.location.default_branch, title=plan.title, body=plan.body
        )
        forge().ensure_status(
            repository,
            commit=plan.head_sha,
            context="aiworker/proof",
            state="success",
            description="Proven",
            target_url=None,
        )
    except ProviderRefused as error:
        publishing.record_publish_refused(job.lease, error.message)
        return
    publishing.record_published(job.lease, head_sha=plan.head_sha, number=pull.number, url=pull.url)


@job(catalogue.CLEAN_UP_TASK)
def clean_up_task(job: Claimed) -> None:
    plan = publishing.begin_clean_up(job.lease)
    if plan is None:
        return
    # First what the forge has no say in: it may refuse for good.
    runtime().delete_app(plan.app)
    publishing.record_preview_deleted(job.lease)
    if plan.branch is None:
        return
    repository, number = plan.location.repository, plan.pr_number
    if number is None:
        found = forge().find_pull_request(repository, head=plan.branch, base=plan.location.default_branch)
        number = found.number if found is not None else None
    if number is not None:
        close_pull(forge(), repository, number, head=plan.branch)
