"""The job that puts receipts where everybody finds them who has the repository."""

from __future__ import annotations

from common.jobs import catalogue
from common.providers.forge import forge
from common.services.deployment import receipts
from workers.execution.job_run import Claimed, job


@job(catalogue.PUBLISH_RECEIPT)
def publish_receipt(job: Claimed) -> None:
    plan = receipts.begin_publish(job.lease)
    if plan is not None:
        forge().ensure_note(plan.location.repository, commit=plan.commit_sha, text=plan.text)
