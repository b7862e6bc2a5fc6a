"""Measures with coverage.py which lines the Python programs of a check's command execute.

Not used by the platform itself: the supervisor copies this file as `sitecustomize.py` into a folder of PYTHONPATH,
where every Python of the command loads it. So it needs the standard library alone, beside coverage.py: the command's
own, or else the one that lies in the folder. Python 3.9 or later.

MEASURED_COVERAGE: the folder of `Measuring`. MEASURED_CODE: the checkout. MEASURED_BY: the process that began first; it
reports at its end what it and all that it started have executed. Nothing here ever fails the command.
"""

from __future__ import annotations

import atexit
import importlib
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from coverage import Coverage

FOLDER, CODE, OWNER, CORE = "MEASURED_COVERAGE", "MEASURED_CODE", "MEASURED_BY", "COVERAGE_CORE"
SETTINGS, PACKAGES, OTHERS = "settings.ini", "packages", "others"
IS_WANTED = __name__ == "sitecustomize" and FOLDER in os.environ


def _start(folder: str) -> None:
    owner = os.environ.setdefault(OWNER, str(os.getpid()))
    kind, core = _tool(folder), _core()
    if core is None:
        return
    given = os.environ.get(CORE)
    os.environ[CORE] = core
    try:
        measured = kind(config_file=os.path.join(folder, SETTINGS), data_suffix=True)
        _watch_for_others(measured, folder)
        _report_at_end(measured, folder, is_owner=owner == str(os.getpid()))
        measured.start()
    finally:
        del os.environ[CORE]
        if given is not None:
            os.environ[CORE] = given


def _tool(folder: str) -> type[Coverage]:
    """The command's own coverage.py, else the one in the folder. Raises ImportError if it is not for this Python."""
    try:
        tool = importlib.import_module("coverage")
    except ImportError:
        sys.path.append(os.path.join(folder, PACKAGES))
        try:
            tool = importlib.import_module("coverage")
        finally:
            sys.path.pop()
    kind: type[Coverage] = tool.Coverage
    return kind


def _core() -> str | None:
    """How coverage.py measures quickly here; None if it would measure in Python, which takes many times as long."""
    if sys.version_info >= (3, 12):
        return "sysmon"
    try:
        importlib.import_module("coverage.tracer")
    except ImportError:
        return None
    return "ctrace"


def _watch_for_others(measured: Coverage, folder: str) -> None:
    """Note if the command measures by itself: two of them in one process see a part each."""
    kind = type(measured)
    start = kind.start

    def noting(self: Coverage) -> None:
        if self is not measured:
            open(os.path.join(folder, OTHERS), "ab").close()
        start(self)

    kind.start = noting  # type: ignore[method-assign]


def _report_at_end(measured: Coverage, folder: str, *, is_owner: bool) -> None:
    process, leave, code = os.getpid(), os._exit, os.environ[CODE]

    def finish() -> None:
        # What is not measured is not known, and that is all.
        with suppress(Exception):
            measured.stop()
            measured.save()
            # A child that was forked comes here too.
            if is_owner and os.getpid() == process and not os.path.exists(os.path.join(folder, OTHERS)):
                # The report names files from here.
                os.chdir(code)
                whole = type(measured)(config_file=os.path.join(folder, SETTINGS))
                whole.combine()
                whole.lcov_report(outfile=os.path.join(folder, f"python-{process}.info"))

    def leaving(status: int) -> NoReturn:
        finish()
        leave(status)

    # Registered before all else, so it runs last. Children of multiprocessing end by `_exit`.
    atexit.register(finish)
    os._exit = leaving


def _load_the_other() -> None:
    """Load the `sitecustomize` that this file hides, if there is one."""
    own = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder or ".") != own]
    hidden = sys.modules.pop("sitecustomize")
    try:
        __import__("sitecustomize")
    except ImportError:
        sys.modules["sitecustomize"] = hidden


if IS_WANTED:
    with suppress(Exception):
        _start(os.environ[FOLDER])
    _load_the_other()
