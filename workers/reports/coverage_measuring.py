"""Has a check's command measure which lines its tests execute, by its environment alone: Python by coverage.py, node's
runner by its own option. What it can't measure runs as it would without.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from common.machine.files import make_anew
from workers.reports import python_coverage
from workers.reports.python_coverage import CODE, FOLDER, OTHERS, PACKAGES, SETTINGS
from workers.reports.report_files import Addition
from workers.reports.written_files import names_in

_NODE_PROGRAM = Path(__file__).parent / "node_coverage.cjs"
_NEEDLESS = shutil.ignore_patterns("__pycache__", "htmlfiles", "*.pyi")
_SETTINGS = """\
[run]
data_file = {folder}/data/lines
source = {code}
omit =
    */.venv/*
    */venv/*
    */site-packages/*
    */node_modules/*
sigterm = true
[report]
ignore_errors = true
"""
"""The command's own settings of coverage.py are left alone, as they may name plugins or another place."""


@dataclass(frozen=True)
class Measuring:
    """For one check. Call `begin` before its command; the reports (LCOV) are there at its end.

    folder: where they and the platform's own files lie; `begin` makes it, and the command writes in it.
    """

    code: Path
    folder: Path

    def begin(self) -> None:
        """Make the folder with what the command's programs load. Raises OSError. Blocking. Safe to repeat.

        No code of the repository may run meanwhile.
        """
        package = importlib.util.find_spec("coverage")
        if package is None or package.origin is None:
            raise FileNotFoundError("coverage.py is not installed")
        make_anew(self.folder)
        for name in ("data", "python"):
            (self.folder / name).mkdir()
        shutil.copyfile(python_coverage.__file__, self.folder / "python" / "sitecustomize.py")
        shutil.copyfile(_NODE_PROGRAM, self._node_program)
        copied = self.folder / PACKAGES / "coverage"
        shutil.copytree(Path(package.origin).parent, copied, ignore=_NEEDLESS)
        settings = _SETTINGS.format(folder=self.folder, code=self.code)
        (self.folder / SETTINGS).write_text(settings, encoding="utf-8")

    def additions(self) -> list[Addition]:
        """What the command's environment needs; it comes after the additions of Reports."""
        return [
            Addition(FOLDER, str(self.folder)),
            Addition(CODE, str(self.code)),
            Addition("PYTHONPATH", str(self.folder / "python"), os.pathsep, is_first=True),
            Addition("NODE_OPTIONS", f"--require={json.dumps(str(self._node_program))}", " "),
        ]

    @property
    def _node_program(self) -> Path:
        return self.folder / "node_coverage.cjs"

    def reports(self) -> list[Path]:
        return [self.folder / name for name in names_in(self.folder, ".info")]

    @property
    def has_seen_others(self) -> bool:
        """Whether the command measures by itself. Then what was measured here is no whole, and there is no report."""
        return OTHERS in names_in(self.folder, OTHERS)
