"""Jobs of projects: repository and namespace are made true, and removed."""

from __future__ import annotations

from common import jobs
from common.errors import ProviderRefused
from common.providers.forge import Repository, forge
from common.providers.runtime import runtime
from common.services import provisioning, watching
from workers.job import Claimed, job
from workers.outside import repository, space, take_credential_away


@job(jobs.PROVISION_PROJECT, parked=provisioning.fail_provision)
def provision_project(job: Claimed) -> None:
    plan = provisioning.begin_provision(job.lease)
    if plan is None:
        return
    try:
        job.progress("importing the repository" if plan.import_url else "making the repository", 0, 2)
        made = forge().ensure_repository(
            repository(plan.place),
            default_branch=plan.place.default_branch,
            description=plan.description,
            import_url=plan.import_url,
        )
        forge().ensure_protection(repository(plan.place))
        forge().ensure_webhook(repository(plan.place))
        job.progress("making the environment", 1, 2)
        runtime().ensure_environment(space(plan.place))
    except ProviderRefused as error:
        provisioning.record_provision_refused(job.lease, error.message)
        return
    provisioning.record_provisioned(job.lease, default_branch=made.default_branch, repository_url=made.url)


@job(jobs.DELETE_PROJECT)
def delete_project(job: Claimed) -> None:
    plan = provisioning.begin_deletion(job.lease)
    if plan is None:
        return
    job.progress("removing what runs", 0, 2)
    runtime().delete_environment(space(plan.place))
    job.progress("removing the repository", 1, 2)
    try:
        forge().delete_repository(repository(plan.place))
    except ProviderRefused as error:
        if error.code != "no_repository":
            raise
    for run_id in plan.runs:
        take_credential_away(forge(), plan.place, run_id)
    provisioning.record_deleted(job.lease)


@job(jobs.WATCH_REPOSITORY)
def watch_repository(job: Claimed) -> None:
    plan = watching.begin_watch(job.lease)
    if plan is None:
        return
    try:
        heads = {branch: forge().read_head(repository(plan.place), branch) for branch in plan.branches}
        pulls = {number: seen for number in plan.pulls if (seen := _look(repository(plan.place), number)) is not None}
    except ProviderRefused as error:
        watching.record_unreadable(job.lease, error.message)
        return
    watching.record_heads(job.lease, heads, pulls)


def _look(place: Repository, number: int) -> watching.PullSeen | None:
    """The pull request as it is now, with what people said on it; None if it is gone."""
    pull = forge().read_pull_request(place, number)
    if pull is None:
        return None
    said = forge().read_comments(place, number)
    remarks = (watching.Remark(one.id, one.author, one.body, one.path, one.line, one.asks_for_change) for one in said)
    return watching.PullSeen(pull.state.value, tuple(remarks))
