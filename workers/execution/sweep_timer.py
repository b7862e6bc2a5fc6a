"""Starts the sweeps on time inside a worker (`--sweeps`), so that one machine needs no process of Celery beat.

Deployments with several machines run one beat instead, as in the Procfile. Both together do no harm: a sweep that is
started twice does nothing the second time.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import click
from celery import Celery, bootsteps
from kombu.exceptions import KombuError

from workers.execution.job_run import celery, log

if TYPE_CHECKING:
    from celery.worker.consumer import Consumer
    from kombu.asynchronous.timer import Entry

OPTION = "--sweeps"


class SweepTimer(bootsteps.StartStopStep):  # type: ignore[misc]
    """Timers of the worker's event loop. They start anew with every connection to the broker."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Consumer, *, sweeps: bool = False, **options: object) -> None:
        super().__init__(consumer, **options)
        self.enabled = sweeps
        self._timers: list[Entry] = []

    def start(self, consumer: Consumer) -> None:
        """Start each entry of the schedule regularly, the first time after one interval."""
        self._timers = [
            consumer.timer.call_repeatedly(
                entry["schedule"], functools.partial(_ring, consumer.app, entry["task"], entry["options"])
            )
            for entry in consumer.app.conf.beat_schedule.values()
        ]

    def stop(self, _consumer: Consumer) -> None:
        for timer in self._timers:
            timer.cancel()  # type: ignore[no-untyped-call]
        self._timers = []


def _ring(app: Celery, task: str, options: dict[str, object]) -> None:
    try:
        app.send_task(task, **options)
    except (KombuError, OSError) as error:
        # The next one is due soon, and a worker without its broker could not receive this one.
        log.warning("can't start a sweep", task=task, error=type(error).__name__)


celery.user_options["worker"].add(
    click.Option((OPTION,), is_flag=True, help="Start the sweeps on time; no beat is needed then.")
)
celery.steps["consumer"].add(SweepTimer)
