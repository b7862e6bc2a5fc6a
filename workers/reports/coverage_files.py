"""Finds and reads the coverage reports (Cobertura XML, LCOV) that a check's tests wrote.

The rules of `written_files` hold for them, as for reports of tests, and for those that `Measuring` had written.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from common.machine.text import path_text
from common.values.testing.coverage import Coverage, FileCoverage, ranges_of
from workers.reports.coverage_measuring import Measuring
from workers.reports.written_files import Unusable, content_of_run, matching_files

COBERTURA_PLACES = (
    "coverage.xml",  # coverage.py, pytest-cov, .NET
    "cobertura-coverage.xml",  # istanbul, c8
    "cobertura.xml",  # cargo tarpaulin, cargo llvm-cov
)
LCOV_PLACES = ("lcov.info", "coverage.lcov")
MOST_REPORTS = 200
MOST_BYTES = 16 * 2**20
"""Of all reports of a run together."""
MOST_DEPTH, MOST_ELEMENTS = 40, 600_000
MOST_FILES, MOST_LINES, MOST_ROOTS = 20_000, 500_000, 20
MOST_LOOKUPS, LOOK = 50_000_000, 100
"""Characters of all paths at which files are looked for, and how many each look counts beside. A name may be below each
root and each folder above the report."""
LONGEST_PATH = 4096
"""Linux opens no longer ones."""
LAST_LINE = 10_000_000
OWN_TOOL = "the tests measure by themselves and write no report of a known form, such as coverage.xml"


@dataclass
class CoverageFiles:
    """The coverage reports of one check. Call `note_commit` after the checkout, `read` at the command's end.

    measuring: None: only what the tests write by themselves is read.
    """

    code: Path
    committed: set[str] = field(default_factory=set)
    measuring: Measuring | None = None

    def note_commit(self) -> None:
        """Note what is part of the commit. Blocking."""
        self.committed = set(self._matches())

    def read(self, *, began_ns: int) -> Coverage | None:
        """Read the reports; None if the run wrote none. Blocking. began_ns: see `Reports`."""
        found, lookups, left, count = _Found(), _Lookups(), MOST_BYTES, 0
        try:
            for path, shown, folder in self._files():
                content = content_of_run(path, shown, began_ns=began_ns, left=left, most=MOST_BYTES)
                if content is None:
                    continue
                left, count = left - len(content), count + 1
                if count > MOST_REPORTS:
                    raise Unusable(f"there are more than {MOST_REPORTS} files")
                read = _read_cobertura if path.suffix == ".xml" else _read_lcov
                read(content, shown, _Paths(self.code, folder, lookups), found)
        except Unusable as error:
            return Coverage(problem=str(error))
        except OSError as error:
            return Coverage(problem=f"the files can't be read: {error.strerror}")
        if not count and self.measuring is not None and self.measuring.has_seen_others:
            return Coverage(problem=OWN_TOOL)
        return found.coverage() if count else None

    def _files(self) -> Iterator[tuple[Path, str, str]]:
        """Yield each file, its name for people, and the folder of the checkout from which it names others."""
        for name in self._matches():
            if name not in self.committed:
                yield self.code / name, path_text(name), str(PurePosixPath(name).parent)
        for path in self.measuring.reports() if self.measuring is not None else ():
            yield path, f"~/{path_text(path.name)}", "."

    def _matches(self) -> list[str]:
        return matching_files(self.code, [f"**/{place}" for place in (*COBERTURA_PLACES, *LCOV_PLACES)])


@dataclass
class _Found:
    """The lines of all reports: of each path, the number of a line → whether any of them executed it."""

    _files: dict[str, dict[int, bool]] = field(default_factory=dict)
    _count: int = 0

    def add(self, path: str | None, line: int, hits: int) -> None:
        """path: None for a file that is not in the checkout. Raises Unusable if there are too many lines."""
        if path is None or not 1 <= line <= LAST_LINE:
            return
        lines = self._files.setdefault(path, {})
        self._count += line not in lines
        if self._count > MOST_LINES or len(self._files) > MOST_FILES:
            raise Unusable("it names too many files or lines")
        lines[line] = lines.get(line, False) or hits > 0

    def coverage(self) -> Coverage:
        return Coverage(tuple(_file(path, lines) for path, lines in sorted(self._files.items())))


def _file(path: str, lines: Mapping[int, bool]) -> FileCoverage:
    executed = ranges_of(line for line, is_executed in lines.items() if is_executed)
    missed = ranges_of(line for line, is_executed in lines.items() if not is_executed)
    return FileCoverage(path, executed, missed)


@dataclass
class _Lookups:
    """How many characters the paths may still have at which files are looked for, for all reports of a run."""

    left: int = MOST_LOOKUPS

    def take(self, path: str) -> None:
        """Count one. Raises Unusable if it is one too many."""
        self.left -= LOOK + len(path)
        if self.left < 0:
            raise Unusable("it names too many files or lines")


@dataclass
class _Paths:
    """Where the files are that a report in `folder` of the checkout names."""

    code: Path
    folder: str
    lookups: _Lookups
    _known: dict[tuple[str, ...], str | None] = field(default_factory=dict)

    def path_of(self, name: str, roots: Sequence[str] = ()) -> str | None:
        """The path in the repository of a name that is absolute, below one of the roots, or relative to the report's
        folder or one above it; None if there is no such file in the checkout. Raises Unusable."""
        if len(name) > LONGEST_PATH:
            return None
        key = (name, *roots)
        if key not in self._known:
            self._known[key] = next(self._in_checkout(name, roots), None)
        return self._known[key]

    def _in_checkout(self, name: str, roots: Sequence[str]) -> Iterator[str]:
        folder, inside = PurePosixPath(self.folder), os.path.realpath(self.code)
        tops = {str(self.code), inside}
        for above in (folder, *folder.parents):
            for root in (*roots, ""):
                full = os.path.normpath(os.path.join(self.code, above, root, name))
                self.lookups.take(full)
                for top in tops:
                    if not full.startswith(f"{top}/") or not os.path.isfile(full):
                        continue
                    # A link of the tests could tell which files there are outside of their sandbox.
                    if os.path.realpath(full).startswith(f"{inside}/"):
                        yield full.removeprefix(f"{top}/")


def _read_lcov(content: bytes, shown: str, paths: _Paths, found: _Found) -> None:
    """Records `SF:path`, `DA:line,hits[,checksum]`, `end_of_record` (geninfo(1)); the others are not needed."""
    path: str | None = None
    has_file = False
    for line in content.decode("utf-8", "surrogateescape").splitlines():
        kind, _, value = line.partition(":")
        if kind == "SF":
            path, has_file = paths.path_of(value), True
        elif kind == "DA":
            number, hits, *_checksum = [*value.split(","), ""]
            found.add(path, _number(number, shown), _number(hits, shown))
        elif kind == "end_of_record":
            path = None
    if content.strip() and not has_file:
        raise Unusable(f"{shown} is no LCOV")


def _read_cobertura(content: bytes, shown: str, paths: _Paths, found: _Found) -> None:
    # A document type is allowed, as istanbul writes one; its address is never read.
    events = iterparse(io.BytesIO(content), events=("start", "end"), forbid_entities=True, forbid_external=True)
    try:
        _read_elements(events, shown, paths, found)
    except DefusedXmlException as error:
        raise Unusable(f"{shown} has entities") from error
    except (ParseError, ValueError, LookupError) as error:
        raise Unusable(f"{shown} is no valid XML") from error


def _read_elements(events: Iterator[tuple[str, Element]], shown: str, paths: _Paths, found: _Found) -> None:
    """Read `sources/source`, and of each `class` its `filename` and all `line` below it."""
    open_tags, roots, count, path, has_packages = list[str](), list[str](), 0, None, False
    for event, element in events:
        if event == "end":
            open_tags.pop()
            if element.tag == "source" and len(roots) < MOST_ROOTS and len(element.text or "") <= LONGEST_PATH:
                roots.append((element.text or "").strip())
            # What was read is let go, or a large report would be in memory as a whole.
            element.clear()
            continue
        open_tags.append(element.tag)
        count += 1
        if len(open_tags) > MOST_DEPTH or count > MOST_ELEMENTS:
            raise Unusable(f"{shown} is nested too deeply or has too many elements")
        has_packages = has_packages or open_tags == ["coverage", "packages"]
        if element.tag == "class":
            path = paths.path_of(element.get("filename", ""), roots)
        elif element.tag == "line" and "class" in open_tags:
            found.add(path, _number(element.get("number"), shown), _number(element.get("hits"), shown))
    if not has_packages:
        raise Unusable(f"{shown} is no Cobertura XML")


def _number(text: str | None, shown: str) -> int:
    """A count. Raises Unusable if it is none."""
    try:
        return int(text or "")
    except ValueError as error:
        raise Unusable(f"{shown} has {(text or '')[:20]!r} where a number belongs") from error
