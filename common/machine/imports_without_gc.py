"""Imports without the garbage collector, for the start of a process."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Make what lives to the end of the process, such as modules, without looking for garbage among it, now or later.

    Importing makes many objects and hardly any garbage; looking for it takes a sixth of the time of a large import. A
    forked child does not look either, so it goes on sharing that memory.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
