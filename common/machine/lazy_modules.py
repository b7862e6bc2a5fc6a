"""Modules that are loaded at their first use, for libraries that a process needs late or never (docs/decisions/0006).

A web server needs them to be ready soon: it answers before it has talked to Redis, or to a model provider.
"""

from __future__ import annotations

import importlib
from types import ModuleType


class _LazyModule(ModuleType):
    def __getattr__(self, name: str) -> object:
        return getattr(importlib.import_module(self.__name__), name)


def lazy_module(name: str) -> ModuleType:
    """What stands for the module of this name. The first use of an attribute loads it. Safe from several threads.

    A daemon thread must not be the first: if the process ends while it imports, the exit waits for it forever.
    A name that is in `except` is read only when something was raised.
    """
    return _LazyModule(name)
