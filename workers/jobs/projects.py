"""Jobs of projects: create, protect, watch and remove the repository and the namespace."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from common.errors import AccessDenied, ProviderRefused
from common.jobs import catalogue
from common.providers.forge import Forge, forge
from common.providers.runtime import runtime
from common.services.changes.pushes import PendingPush, settle_push
from common.services.projects import provisioning
from common.services.tasks import forge_changes
from common.values.delivery.pull_request import PullComment, PullRequest, PullReview, PullState
from common.values.repository import Repository
from workers.execution.job_run import Claimed, job
from workers.execution.provider_calls import revoke_credential

log = structlog.get_logger()

TOO_LARGE = "too_large"
OF_ONE_PULL = {TOO_LARGE, "no_pull_request"}
"""Codes of refusals that say nothing about the repository."""


@job(catalogue.PROVISION_PROJECT, parked=provisioning.fail_provision)
def provision_project(job: Claimed) -> None:
    plan = provisioning.begin_provision(job.lease)
    if plan is None:
        return
    try:
        job.progress("importing the repository" if plan.import_url else "creating the repository", 0, 2)
        made = forge().ensure_repository(
            plan.location.repository,
            default_branch=plan.location.default_branch,
            description=plan.description,
            import_url=plan.import_url,
            files=plan.files,
        )
        forge().ensure_protection(
            plan.location.repository, default_branch=made.default_branch, allows_direct_push=plan.allows_direct_push
        )
        forge().ensure_webhook(plan.location.repository)
        job.progress("creating the environment", 1, 2)
        runtime().ensure_environment(plan.location.space)
    except ProviderRefused as error:
        provisioning.record_provision_refused(job.lease, error.message)
        return
    provisioning.record_provisioned(job.lease, default_branch=made.default_branch, repository_url=made.url)


@job(catalogue.PROTECT_PROJECT, parked=provisioning.fail_protection)
def protect_project(job: Claimed) -> None:
    plan = provisioning.begin_protection(job.lease)
    if plan is not None:
        location, allows_direct_push = plan
        forge().ensure_protection(
            location.repository, default_branch=location.default_branch, allows_direct_push=allows_direct_push
        )
        forge().ensure_webhook(location.repository)
        provisioning.record_protected(job.lease)


@job(catalogue.DELETE_PROJECT)
def delete_project(job: Claimed) -> None:
    plan = provisioning.begin_deletion(job.lease)
    if plan is None:
        return
    job.progress("removing apps and checks", 0, 2)
    runtime().delete_environment(plan.location.space)
    job.progress("removing the repository", 1, 2)
    _delete_repository(plan.location.repository)
    for run_id in plan.runs:
        revoke_credential(forge(), plan.location, run_id)
    provisioning.record_deleted(job.lease, was_busy=plan.was_busy)


def _delete_repository(repository: Repository) -> None:
    """Delete the repository, if it is the project's: the project may have failed as somebody else's has its name, or a
    person may have taken the mark away."""
    try:
        forge().delete_repository(repository)
    except ProviderRefused as error:
        if error.code not in {"no_repository", "foreign"}:
            raise
        log.warning("the repository of a deleted project is left as it is", reason=error.message)


@job(catalogue.WATCH_REPOSITORY)
def watch_repository(job: Claimed) -> None:
    plan = forge_changes.begin_watch(job.lease)
    if plan is None:
        return
    repository = plan.location.repository
    try:
        for push in plan.pushes:
            settle_push(job.lease, push, has_landed=has_landed(forge(), repository, push))
        heads = {branch: forge().read_head(repository, branch) for branch in plan.branches}
    except (ProviderRefused, AccessDenied) as error:
        forge_changes.record_unreadable(job.lease, str(error))
        return
    pulls, refusal = _read_pulls(repository, plan.pulls)
    for seen in pulls.values():
        if seen.pull.head in plan.branches:
            _open_again(repository, seen.pull)
    forge_changes.record_heads(job.lease, plan, heads, pulls, unreadable=refusal)


def has_landed(at: Forge, repository: Repository, push: PendingPush) -> bool:
    """Whether the pushed commit has arrived: in the default branch, or for a task's branch anywhere in the repository.

    (A task's branch may have been moved by force since.) False for pushes by the platform's own account.
    """
    if push.is_at_forge and at.is_own_login(push.username):
        return False
    head = at.read_head(repository, push.branch) if push.is_default else push.new_sha
    try:
        return head is not None and at.contains(repository, ancestor=push.new_sha, head=head)
    except ProviderRefused as error:
        if error.code != "no_commit":
            raise
        return False


def _read_pulls(repository: Repository, numbers: Iterable[int]) -> tuple[dict[int, PullReview], str | None]:
    """The pull requests that could be read, and why the server refuses to show any more; None if it does not."""
    pulls: dict[int, PullReview] = {}
    for number in numbers:
        try:
            seen = _look(repository, number)
        except ProviderRefused as error:
            if error.code not in OF_ONE_PULL:
                return pulls, error.message
            log.warning("a pull request can't be read", repository=repository.name, number=number, reason=error.message)
            continue
        if seen is not None:
            pulls[number] = seen
    return pulls, None


def _open_again(repository: Repository, pull: PullRequest) -> None:
    """Open the pull request of proven work again if an agent closed it: any run's credential can."""
    if pull.state is not PullState.CLOSED or not pull.is_closed_by_run:
        return
    try:
        forge().reopen_pull_request(repository, pull.number, head=pull.head)
    except ProviderRefused as error:
        log.warning("a pull request can't be opened again", number=pull.number, reason=error.message)


def _look(repository: Repository, number: int) -> PullReview | None:
    """Return the pull request with people's comments; None if it does not exist (any more).

    Instead of comments that are too many to be read, there is one that says so.
    """
    pull = forge().read_pull_request(repository, number)
    if pull is None:
        return None
    try:
        comments = tuple(forge().read_comments(repository, number))
    except ProviderRefused as error:
        if error.code != TOO_LARGE:
            raise
        text = f"the comments on pull request #{number} are too many to be read, so new ones are not passed on"
        comments = (PullComment("unread", "platform", f"{text}: {error.message}"),)
    return PullReview(pull, comments)
