"""The job of the outgoing webhook: send its next message."""

from __future__ import annotations

from common.jobs import catalogue
from common.providers import outgoing_webhook
from common.services.outgoing_webhook import delivering
from common.settings import settings
from workers.execution.job_run import Claimed, job


@job(catalogue.SEND_WEBHOOK)
def send_webhook(job: Claimed) -> None:
    dispatch = delivering.begin_delivery(job.lease)
    if dispatch is not None:
        answer = outgoing_webhook.send(dispatch, settings().web.outgoing_allow)
        delivering.record_delivery(job.lease, dispatch, answer)
