"""Whether what agents and repositories start on this machine is confined. Starts one tiny sandbox."""

from __future__ import annotations

from collections.abc import Iterator

from common.machine.programs.bubblewrap import SandboxFinding, find_sandbox
from common.settings import SandboxSettings
from common.values.finding import Finding

PART = "sandbox"


def examine_sandbox(chosen: SandboxSettings) -> Iterator[Finding]:
    """The findings. It is a fault that commands can't be confined only where AIWORKER_SANDBOX=required."""
    if chosen.mode == "off":
        says = "AIWORKER_SANDBOX=off: agents, tests and previews run unconfined, as this user"
        yield Finding("warn", PART, f"{says}; unset it, unless this machine is a pod or container of theirs")
        return
    yield from judge(find_sandbox(), mode=chosen.mode)


def judge(found: SandboxFinding, *, mode: str) -> Iterator[Finding]:
    """The findings of a tiny sandbox that was tried."""
    if not found.is_confining:
        says = f"agents, tests and previews run unconfined, as this user: {found.why_not}; {found.remedy}"
        yield Finding("fail" if mode == "required" else "warn", PART, says)
        return
    yield Finding("ok", PART, f"bubblewrap confines agents, tests and previews (AIWORKER_SANDBOX={mode})")
    if found.has_outbound:
        yield Finding("ok", PART, "slirp4netns gives them a network of their own, where their project has an open one")
    else:
        says = f"where their project has an open network, they share this machine's: {found.why_no_outbound}"
        yield Finding("warn", PART, says)
