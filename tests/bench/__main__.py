"""Measures everything, or one part, and compares it with the recorded run. Prints a line a figure and a table."""

from __future__ import annotations

import argparse
import datetime
import os
import sys

from tests.bench import parts, record, report
from tests.bench.figures import TIMES, Found, shown
from tests.bench.machine import CORES, machine, versions
from tests.bench.parts import Failed
from tests.bench.record import PartResult, Run


def measure(name: str, times: int) -> PartResult:
    """Measure one part. Shows each figure as it comes."""
    print(f"\nMeasuring {name} …", flush=True)
    found: list[Found] = []
    failed = ""
    for one in parts.measure(name, times):
        if isinstance(one, Failed):
            failed = one.why
            print(one.details, file=sys.stderr)
        else:
            found.append(one)
            what, text = shown(one)
            print(f"{what:<70} {text}", flush=True)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    try:
        return record.result_of(name, today, found, failed)
    except ValueError as error:
        return PartResult(name, today, failed=str(error))


def warn_of_load() -> None:
    """Say so when the machine does other work: then even ratios are noisy."""
    load = os.getloadavg()[0]
    if load > len(CORES) / 2:
        print(f"The machine is busy: a load of {load:.1f} on {len(CORES)} cores. Ratios will be noisy.", flush=True)


def measure_all(names: list[str], times: int, recorded: Run | None) -> list[PartResult]:
    """Measure these parts. One in which a ratio fell is measured once more, and its better ratios count.

    What else the machine did may have fallen into the rounds of one side alone.
    """
    results = []
    for name in names:
        result = measure(name, times)
        if record.falls(recorded, [result]):
            result = record.better(result, measure(name, times))
        results.append(result)
    return results


def show(run: Run, recorded: Run | None) -> None:
    """Print the table, what has become worse, and what failed."""
    print(f"\nMachine: {report.listed(run.machine)}\nVersions: {report.listed(run.versions)}")
    for part in run.parts.values():
        print("", *report.lines(part), sep="\n")
    print()
    for fall in record.falls(recorded, run.parts.values()):
        print(f"WORSE by more than a tenth: {fall.part}: {fall.what}: {fall.now:.3g}, recorded {fall.was:.3g}")
    for name, cores in record.elsewhere(recorded, run).items():
        print(f"recorded on another processor, where ratios may differ by more than a tenth: {name}: {cores}")
    for name, what in record.gone(recorded, run.parts.values()):
        print(f"recorded, but not measured now: {name}: {what}")
    for result in run.parts.values():
        if result.failed:
            print(f"FAILED: {result.name}: {result.failed}")


def status(run: Run, recorded: Run | None) -> int:
    """The exit status: 1 if a part failed, or a ratio is more than a tenth worse than recorded."""
    has_failed = any(part.failed for part in run.parts.values())
    return 1 if has_failed or record.falls(recorded, run.parts.values()) else 0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--only", choices=list(parts.MODULES), action="append", help="measure this part; may be repeated"
    )
    parser.add_argument("--times", type=int, default=TIMES, help="rounds of each comparison")
    parser.add_argument("--record", action="store_true", help="write the record, docs/performance.md")
    chosen = parser.parse_args()
    recorded = record.read()
    # A new record is what was measured, not the better of two tries.
    compared = None if chosen.record else recorded
    about = machine(), versions()
    warn_of_load()
    results = measure_all(chosen.only or list(parts.MODULES), chosen.times, compared)
    run = Run(*about, {result.name: result for result in results})
    show(run, recorded)
    if chosen.record:
        record.write(record.merged(recorded, run))
        report.write()
    return status(run, compared)


if __name__ == "__main__":
    sys.exit(main())
