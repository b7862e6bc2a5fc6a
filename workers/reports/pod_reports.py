"""The reports of a check that runs in a pod: what its checkout prepares, and the program that reads them at its end.

`python -m workers.reports.pod_reports --workspace DIR --reports DIR` prints what the tests reported, as lines for the
runtime. It runs in a container of its own, in which no code of the repository runs: what it prints, only this program
can print. The folder DIR of --reports is written by the checkout alone; the check's container can only read it. The
workspace and HOME are the check's, so nothing in them is trusted.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from common.values.json_codec import decode, encode
from common.values.testing.collected_reports import CollectedReports, pack
from common.values.testing.test_report import TestReport
from workers.reports.coverage_files import CoverageFiles
from workers.reports.coverage_measuring import Measuring
from workers.reports.report_files import Addition, Reports

SCRIPT, KNOWN = "begin", "known.json"
MOST_KNOWN_CHARACTERS = 8 * 2**20


@dataclass(frozen=True)
class Known:
    """A checkout before any command ran in it. wanted: see Reports. began_ns: its time, by the file system's clock.

    reports, coverage: paths of the commit where reports are looked for; None if they are too many to be noted.
    measures_coverage: see Check.
    """

    wanted: str | None
    began_ns: int
    reports: tuple[str, ...] | None
    coverage: tuple[str, ...] = ()
    measures_coverage: bool = False


def prepare(
    code: Path, folder: Path, *, command: str, wanted: str | None, only_files: Sequence[str], left_out: Sequence[str],
    measures_coverage: bool,
) -> None:  # fmt: skip
    """Note what is part of the checkout `code`, and write the script that the check's shell reads before its command.

    folder: of --reports. only_files, left_out, measures_coverage: see Check. Raises OSError. Safe to repeat.
    """
    reports, coverage = Reports(code, _reports_folder(), wanted), CoverageFiles(code)
    reports.note_commit()
    coverage.note_commit()
    reports.begin()
    additions = reports.additions(command, only_files, left_out)
    if measures_coverage:
        measuring = Measuring(code, _measured_folder())
        measuring.begin()
        additions += measuring.additions()
    known = Known(
        wanted, reports.began_ns, tuple(sorted(reports.committed)), tuple(sorted(coverage.committed)), measures_coverage
    )
    text = json.dumps(encode(known))
    if len(text) > MOST_KNOWN_CHARACTERS:
        text = json.dumps(encode(Known(wanted, reports.began_ns, None)))
    (folder / KNOWN).write_text(text, encoding="ascii")
    (folder / SCRIPT).write_text(script(reports.mark, additions), encoding="utf-8")


def script(mark: Path, additions: Iterable[Addition]) -> str:
    """The shell script: makes the mark as old as the run, and adds to the environment."""
    folder, file = shlex.quote(str(mark.parent)), shlex.quote(str(mark))
    lines = [f"{{ mkdir -p {folder} && touch {file}; }} 2>/dev/null || true", *map(_export, additions)]
    return "\n".join([*lines, ""])


def _export(added: Addition) -> str:
    name, value = added.name, shlex.quote(added.value)
    if added.joint is None:
        return f"export {name}={value}"
    if added.is_first:
        line = f'export {name}={value}"${{{name}:+{added.joint}${name}}}"'
        return f"! command -v {added.program} >/dev/null || {line}" if added.program is not None else line
    return f'export {name}="${{{name}:+${name}{added.joint}}}"{value}'


def collect(code: Path, folder: Path) -> CollectedReports:
    """Read what the tests reported; the check's processes have ended. Raises OSError if it was not prepared."""
    known = decode(Known, json.loads((folder / KNOWN).read_bytes()), is_trusted=True)
    if known.reports is None:
        return CollectedReports(TestReport(problem="too many files of the commit are where reports are looked for"))
    reports = Reports(code, _reports_folder(), known.wanted, committed=set(known.reports))
    reports.began_ns = max(known.began_ns, _changed_ns(reports.mark))
    measuring = Measuring(code, _measured_folder()) if known.measures_coverage else None
    coverage = CoverageFiles(code, set(known.coverage), measuring)
    return CollectedReports(reports.read(), coverage.read(began_ns=reports.began_ns))


def _reports_folder() -> Path:
    return Path.home() / "test-reports"


def _measured_folder() -> Path:
    return Path.home() / "measured-coverage"


def _changed_ns(file: Path) -> int:
    """When the file was changed; 0 if it is gone, as tests may remove it."""
    try:
        return file.lstat().st_mtime_ns
    except OSError:
        return 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="workers.reports.pod_reports")
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--reports", type=Path, required=True)
    asked = parser.parse_args(arguments)
    print(pack(collect(asked.workspace / "code", asked.reports)), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
