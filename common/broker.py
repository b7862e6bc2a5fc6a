"""The one Celery app, configured by celeryconfig, and the doorbell: ringing it may fail, and nobody waits for it."""

from __future__ import annotations

import functools

from celery import Celery

from common.jobs import CATALOGUE


@functools.cache
def celery_app() -> Celery:
    """This process's Celery app. Web processes only send by it; workers register the jobs on it."""
    app = Celery("aiworker")
    app.config_from_object("celeryconfig")
    return app


@functools.cache
def _sender() -> Celery:
    # A sender must give up within a second even where Redis is frozen: its own timeouts, not the worker's.
    app = Celery("aiworker-doorbell", set_as_current=False)
    app.config_from_object("celeryconfig")
    options = {**app.conf.broker_transport_options, "socket_timeout": 1, "socket_connect_timeout": 1}
    app.conf.broker_transport_options = options
    app.conf.broker_connection_timeout = 1
    return app


def ring(kind: str, job_id: str) -> None:
    """Send the job's id to its queue once. Raises what the transport raises; a failed publish may have worked."""
    _sender().send_task(kind, args=(job_id,), queue=CATALOGUE[kind].queue, retry=False, ignore_result=True)
