"""The worker processes. `celery --app workers worker|beat|flower` finds the Celery app here, with all jobs registered.

The app is loaded on first access, because the runner and the supervisor are in this package too and do not use Celery.
A wrong setting ends the program there, with one line: Celery would show a traceback.
"""

from __future__ import annotations

import importlib
import sys

from common.errors import Misconfigured
from common.machine.imports_without_gc import without_garbage_collection


def __getattr__(name: str) -> object:
    if name in {"app", "celery"}:
        try:
            with without_garbage_collection():
                web = importlib.import_module("common.settings.web")
                web.check_process_numbers(web.QUICK_PROCESSES, web.SLOW_PROCESSES)
                return importlib.import_module("workers.registry").app
        except Misconfigured as error:
            sys.exit(f"aiworker: {error}")
    raise AttributeError(f"module {__name__} has no attribute {name}")
