"""Whether pictures of previews can be taken on this machine. Without them nothing else is missing."""

from __future__ import annotations

from collections.abc import Iterator

from common.machine.programs.bubblewrap import find_sandbox
from common.settings import Settings
from common.values.finding import Finding

PART = "pictures"


def examine_pictures(chosen: Settings) -> Iterator[Finding]:
    """One finding. It is a warning only for a browser that was named and is not there. Starts one tiny sandbox."""
    program, named = chosen.pictures.program(), chosen.pictures.chromium
    if program is None and chosen.pictures.is_off:
        yield Finding("ok", PART, "none are taken of previews: AIWORKER_CHROMIUM=off")
    elif program is None and named:
        yield Finding("warn", PART, f"none are taken of previews: AIWORKER_CHROMIUM={named} is not a program")
    elif program is None:
        yield Finding(
            "ok", PART, "none are taken of previews: there is no Chromium (on Debian: apt-get install chromium)"
        )
    elif chosen.sandbox.mode == "off":
        yield Finding(
            "ok", PART, "none are taken of previews: AIWORKER_SANDBOX=off, so the browser would be unconfined"
        )
    elif not (found := find_sandbox()).is_confining:
        yield Finding("ok", PART, f"none are taken of previews: the browser can't be confined: {found.why_not}")
    else:
        yield Finding("ok", PART, f"{program} takes them of previews, confined")
