"""The worker processes. `celery --app workers worker|beat|flower` finds the Celery app here, its jobs registered.

The app is loaded when it is asked for: the runner and the supervisor live in this package too and know no Celery.
"""

from __future__ import annotations

import importlib


def __getattr__(name: str) -> object:
    if name in {"app", "celery"}:
        return importlib.import_module("workers.registry").app
    raise AttributeError(f"module {__name__} has no attribute {name}")
