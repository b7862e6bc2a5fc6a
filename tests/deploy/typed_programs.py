"""Programs that the documentation's scripts find first: models of docker and helm, an editor, a browser, a make, and an
`aiworker` whose doctor is patient."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

from tests.servers import ROOT

_MODEL = """#!{python} -P
import sys
sys.path.insert(0, {root!r})
from tests.deploy.{module} import main
print(main(sys.argv[1:]))
"""
_EDITOR = """#!/bin/sh
for file; do [ -f "$file" ] || { echo "$file: no such file" >&2; exit 1; }; done
"""
_BROWSER = """#!/bin/sh
printf '%s\\n' "$@" >>"$HOME/opened"
"""
# The Makefile of this checkout, wherever the reader is. The suite can't run within itself: those targets are only read.
_MAKE = """#!/bin/sh
case "$1" in test|test-real) set -- -n "$@";; esac
exec {make} --no-print-directory -C {root} "$@"
"""
# For a pod, whose programs start in this checkout.
_AIWORKER = """#!/bin/sh
[ "$1" != doctor ] || exec {python} -m tests.deploy.patient_doctor "$@"
exec {aiworker} "$@"
"""


def path_with(folder: Path, *names: str) -> str:
    """A PATH with these programs; besides, `editor-of-tests` changes nothing, and `browser-of-tests` notes in the file
    `opened` at home what it is to show."""
    folder.mkdir()
    written = {"editor-of-tests": _EDITOR, "browser-of-tests": _BROWSER}
    for name in names:
        if name == "make":
            written[name] = _MAKE.format(make=shutil.which("make"), root=shlex.quote(str(ROOT)))
        elif name == "aiworker":
            python = Path(sys.executable)
            own = python.with_name("aiworker")
            written[name] = _AIWORKER.format(python=shlex.quote(str(python)), aiworker=shlex.quote(str(own)))
        else:
            written[name] = _MODEL.format(python=sys.executable, root=str(ROOT), module=f"{name}_model")
    for name, text in written.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
