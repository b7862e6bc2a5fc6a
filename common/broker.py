"""The Celery app, configured by celeryconfig, and `ring`, which sends a job's message. A lost message only costs time:
the sweep sends it again.
"""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING

from common.jobs import CATALOGUE

if TYPE_CHECKING:
    # Loading it takes a tenth of a web server's start, in which nothing is sent yet.
    from celery import Celery


@functools.cache
def celery_app() -> Celery:
    """This process's Celery app. Web processes only send messages with it; workers register the jobs on it."""
    app: Celery = importlib.import_module("celery").Celery("aiworker")
    app.config_from_object("celeryconfig")
    return app


@functools.cache
def _sender() -> Celery:
    # Sending must fail within a second if Redis is frozen, so the sender has shorter timeouts than the workers' app.
    app: Celery = importlib.import_module("celery").Celery("aiworker-doorbell", set_as_current=False)
    app.config_from_object("celeryconfig")
    options = {**app.conf.broker_transport_options, "socket_timeout": 1, "socket_connect_timeout": 1}
    app.conf.broker_transport_options = options
    app.conf.broker_connection_timeout = 1
    return app


def ring(kind: str, job_id: str) -> None:
    """Send the job's id to its queue, without retries. Raises the transport's errors; the message may still arrive."""
    _sender().send_task(kind, args=(job_id,), queue=CATALOGUE[kind].queue, retry=False, ignore_result=True)


def close_sender() -> None:
    """Close the connections of `ring`; the next call of it opens new ones."""
    if _sender.cache_info().currsize:
        _sender().close()
        _sender.cache_clear()
