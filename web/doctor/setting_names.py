"""Whether the environment has variables that look like settings and are none, such as AIWORKER_PRT."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from common.settings.names import FILE, NAMES, PREFIX
from common.values.finding import Finding

PART = "settings"
FOR_TESTS = f"{PREFIX}TEST_"
"""What begins so is read by tests alone."""


def examine_names(environ: Mapping[str, str]) -> Iterator[Finding]:
    """A warning for each variable that begins as a setting and is none, by name. An empty one counts as not set."""
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name.startswith(FOR_TESTS) or not environ[name].strip():
            continue
        plain = name.removesuffix(FILE)
        if plain in NAMES or name in NAMES:
            continue
        nearest = _nearest(plain)
        remedy = f"is {nearest}{name[len(plain) :]} meant?" if nearest else "see docs/settings.md, or unset it"
        yield Finding("warn", PART, f"{name} is no setting and has no effect; {remedy}")


def _nearest(name: str) -> str | None:
    """The setting with the most similar name; None if none is similar."""
    # Compared without their common beginning, which would make all of them similar.
    ends = [known.removeprefix(PREFIX) for known in sorted(NAMES)]
    found = difflib.get_close_matches(name.removeprefix(PREFIX), ends, n=1)
    return f"{PREFIX}{found[0]}" if found else None
