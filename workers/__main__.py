"""`python -m workers …`: the command `celery --app workers worker …`, with the same options.

Celery's command loads all its others, too, with a terminal toolkit and Flower: a fifth of a worker's start. The workers
of `aiworker up` are forks of a process that has imported this module, and run `main`.
"""

from __future__ import annotations

import importlib

from common.machine.imports_without_gc import without_garbage_collection

_LATER = (
    *("billiard.pool", "celery.app.amqp", "celery.app.control", "celery.app.events", "celery.app.log"),
    *("celery.app.task", "celery.app.trace", "celery.apps.worker", "celery.backends.base", "celery.events.receiver"),
    *("celery.loaders.app", "celery.worker.autoscale", "celery.worker.components", "celery.worker.consumer"),
    *("celery.worker.consumer.delayed_delivery", "celery.worker.control", "celery.worker.loops"),
    *("celery.worker.strategy", "kombu.mixins", "kombu.transport.redis", "kombu.utils.scheduling"),
)
"""What Celery imports when a worker starts: imported here, it is shared by all forks."""

with without_garbage_collection():
    from celery import concurrency

    # Celery's command reads the names of the pools when it is imported.
    concurrency.ALIASES["timed-threads"] = "workers.execution.thread_pool:TimedThreads"

    from celery.bin.base import CLIContext
    from celery.bin.worker import worker

    from common.secrets import key_formats
    from common.services.upkeep.schema import prepare_models
    from workers.execution import thread_pool as thread_pool
    from workers.registry import app

    for _module in _LATER:
        importlib.import_module(_module)
    app.finalize()
    prepare_models()
    # Each line of the log is looked through for keys.
    key_formats.load()


def main() -> None:
    """Run the worker until it is asked to stop."""
    worker.params.extend(app.user_options["worker"])
    worker.main(prog_name="python -m workers", obj=CLIContext(app, no_color=True, workdir=None))


if __name__ == "__main__":
    main()
