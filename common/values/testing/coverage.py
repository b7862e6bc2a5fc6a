"""Which lines of the checkout a run of its tests executed, as its coverage report says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

ON_COVERAGE = ("read", "run", "off")
_OTHER_TOOLS = re.compile(r"\s*(?:\./)?(?:go|gotestsum|cargo|mvnw?|gradlew?|rake|deno|bun|dotnet|docker|bazel)\s")
_MAY_BE_MEASURED = re.compile(
    r"(?:^|[\s;&|(/'\"])(?:python[\d.]*|py\.?test[\d.]*|node|np[mx]|pnpm|yarn|g?make|just|tox|nox|uvx?|poetry|pdm|hatch"
    r"|pipenv)(?=[\s;&|)'\"]|$)"
    r"|(?:^|[;&|(\n])\s*(?:\w+=\S*\s+)*\.{0,2}/\S|\b(?:ba|da|z)?sh\s+[^-\s]"
)


@dataclass(frozen=True)
class FileCoverage:
    """Lines of one file, counted from 1, as text such as `1-3,7`. path: in the repository, with `/`.

    missed: lines that can run and did not. A line that is in neither can't run, or the report does not know it.
    """

    path: str
    executed: str = ""
    missed: str = ""


@dataclass(frozen=True)
class Coverage:
    """A report. problem: why it can't be used, as words after "The coverage report was not used: "; then there are no
    files."""

    files: tuple[FileCoverage, ...] = ()
    problem: str | None = None


def may_be_measured(command: str) -> bool:
    """Whether the test command may lead to Python or to node's runner, which the platform can have measure.

    >>> [may_be_measured(command) for command in ("python3 -m pytest", "make test", "cargo test", "grep -q x a.html")]
    [True, True, False, False]
    """
    return _MAY_BE_MEASURED.search(command) is not None and _OTHER_TOOLS.match(command) is None


def ranges_of(lines: Iterable[int]) -> str:
    """The lines as text, in their order.

    >>> ranges_of({7, 2, 1, 3})
    '1-3,7'
    """
    ranges: list[list[int]] = []
    for line in sorted(lines):
        if ranges and line == ranges[-1][1] + 1:
            ranges[-1][1] = line
        else:
            ranges.append([line, line])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def lines_of(ranges: str) -> set[int]:
    """The lines that `ranges_of` wrote.

    >>> sorted(lines_of("1-3,7"))
    [1, 2, 3, 7]
    """
    lines: set[int] = set()
    for part in filter(None, ranges.split(",")):
        first, _, last = part.partition("-")
        lines.update(range(int(first), int(last or first) + 1))
    return lines
