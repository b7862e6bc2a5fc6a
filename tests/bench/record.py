"""The recorded run, `tests/bench/record.json`: of each part the figures that are compared with something."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure, Found, Measured, Missing, Version, measured

PATH = Path(__file__).with_name("record.json")
KEPT = 0.9
"""The part of a recorded ratio that must be left: a fall by more than a tenth is reported."""


@dataclass(frozen=True)
class PartResult:
    """What one part found. on: the day, `2026-11-27`. failed: why; '': it did not. cores: '' until it is recorded.

    texts, missing and versions are only shown.
    """

    name: str
    on: str
    figures: Sequence[Measured] = ()
    texts: Sequence[tuple[str, str]] = ()
    missing: Sequence[Missing] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    failed: str = ""
    cores: str = ""


@dataclass(frozen=True)
class Run:
    """The machine and the versions of what the platform consists of, in the last run, and the parts by name."""

    machine: Mapping[str, str]
    versions: Mapping[str, str]
    parts: Mapping[str, PartResult]


@dataclass(frozen=True)
class Fall:
    """A ratio that has become worse by more than a tenth."""

    part: str
    what: str
    was: float
    now: float


def result_of(name: str, on: str, found: Iterable[Found], failed: str = "") -> PartResult:
    """Put together what a part yielded."""
    found = list(found)
    return PartResult(
        name,
        on,
        measured(name, [one for one in found if isinstance(one, Figure)]),
        [one for one in found if isinstance(one, tuple)],
        [one for one in found if isinstance(one, Missing)],
        {one.name: one.version for one in found if isinstance(one, Version)},
        failed,
    )


def falls(recorded: Run | None, now: Iterable[PartResult]) -> list[Fall]:
    """Ratios of the parts measured now that are more than a tenth worse than in the record.

    Of ratios where less is better the inverse counts. A ratio that only one of the two has is not compared.
    """
    found = []
    for part in now:
        before = _ratios(recorded, part.name)
        for figure in part.figures:
            old, new = before.get(figure.what), figure.compared
            if old is None or new is None:
                continue
            if (new < old * KEPT) if figure.is_more_better else (new * KEPT > old):
                found.append(Fall(part.name, figure.what, old, new))
    return found


def gone(recorded: Run | None, now: Iterable[PartResult]) -> list[tuple[str, str]]:
    """Part and name of recorded ratios that the parts measured now do not have any more."""
    return [
        (part.name, what)
        for part in now
        for what in _ratios(recorded, part.name)
        if what not in {figure.what for figure in part.figures if figure.compared is not None}
    ]


def elsewhere(recorded: Run | None, now: Run) -> dict[str, str]:
    """The parts measured now that were recorded on another processor, and on which."""
    before = {name: recorded.parts[name].cores for name in now.parts if name in recorded.parts} if recorded else {}
    return {name: cores for name, cores in before.items() if cores != now.machine["cores"]}


def better(first: PartResult, again: PartResult) -> PartResult:
    """Of two measurements of one part, the second with those figures of the first whose ratio was better there."""
    if again.failed:
        return first
    before = {figure.what: figure for figure in first.figures}
    return replace(again, figures=[_better(before.get(figure.what), figure) for figure in again.figures])


def _better(first: Measured | None, again: Measured) -> Measured:
    if first is None:
        return again
    old, new = first.compared, again.compared
    if old is None or new is None:
        return again
    return first if (old > new) == again.is_more_better else again


def _ratios(run: Run | None, part: str) -> dict[str, float]:
    if run is None or part not in run.parts:
        return {}
    return {figure.what: ratio for figure in run.parts[part].figures if (ratio := figure.compared) is not None}


def merged(recorded: Run | None, now: Run) -> Run:
    """The new record: parts that were not measured now, or that failed, stay as they were recorded."""
    cores = now.machine["cores"]
    whole = {name: replace(part, cores=cores) for name, part in now.parts.items() if not part.failed}
    return replace(now, parts={**(recorded.parts if recorded else {}), **whole})


def read(path: Path = PATH) -> Run | None:
    """The record. None: there is none yet."""
    if not path.exists():
        return None
    written = json.loads(path.read_text("utf-8"))
    parts = {
        name: PartResult(
            name, about["on"], [Measured(name, **figure) for figure in about["figures"]], cores=about["cores"]
        )
        for name, about in written["parts"].items()
    }
    return Run(written["machine"], written["versions"], parts)


def write(run: Run, path: Path = PATH) -> None:
    """Write the record, a line for each figure; the same run gives the same bytes."""
    parts = {
        name: {"on": part.on, "cores": part.cores, "figures": [_kept(one) for one in part.figures if _is_kept(one)]}
        for name, part in run.parts.items()
    }
    content = {"machine": dict(run.machine), "versions": dict(run.versions), "parts": parts}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    path.write_text(_OF_A_FIGURE.sub(lambda found: " ".join(found[0].split()), text) + "\n", "utf-8")


_OF_A_FIGURE = re.compile(r"\{\s+\"what\":[^{}]*\}")


def _is_kept(figure: Measured) -> bool:
    return figure.goal is not None or figure.compared is not None


def _kept(figure: Measured) -> dict[str, Any]:
    return {name: value for name, value in figure.to_json().items() if name not in {"part", "note"}}
