"""The job of the outgoing webhook: send its next message."""

from __future__ import annotations

from common import jobs
from common.providers import outgoing_webhook
from common.services.outgoing import delivering
from common.settings import settings
from workers.job import Claimed, job


@job(jobs.SEND_WEBHOOK)
def send_webhook(job: Claimed) -> None:
    dispatch = delivering.begin_delivery(job.lease)
    if dispatch is not None:
        answer = outgoing_webhook.send(dispatch, settings().web.outgoing_allow)
        delivering.record_delivery(job.lease, dispatch, answer)
