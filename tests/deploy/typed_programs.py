"""Programs of the documentation that are not here, put first in PATH: models of docker and helm, and an editor."""

from __future__ import annotations

import os
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


def path_with(folder: Path, *models: str) -> str:
    """A PATH with these models, by the programs' names, and `editor-of-tests`, which changes nothing."""
    folder.mkdir()
    written = {"editor-of-tests": _EDITOR}
    for name in models:
        written[name] = _MODEL.format(python=sys.executable, root=str(ROOT), module=f"{name}_model")
    for name, text in written.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
