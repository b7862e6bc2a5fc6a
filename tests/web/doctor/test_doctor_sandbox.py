"""What the doctor says of the sandbox."""

from __future__ import annotations

import pytest

from common.machine.programs.bubblewrap import SandboxFinding
from common.settings import SandboxSettings
from web.doctor.sandbox import examine_sandbox, judge

WHOLE = SandboxFinding(True, has_outbound=True)
NO_OUTBOUND = SandboxFinding(True, why_no_outbound="slirp4netns is not installed (apt-get install slirp4netns)")
NONE = SandboxFinding(False, "bubblewrap (bwrap) is not installed", "apt-get install bubblewrap slirp4netns")


@pytest.mark.parametrize(
    ("found", "mode", "statuses", "remedy"),
    [
        (WHOLE, "auto", ["ok", "ok"], ""),
        (NO_OUTBOUND, "required", ["ok", "warn"], "apt-get install slirp4netns"),
        (NONE, "auto", ["warn"], "apt-get install bubblewrap slirp4netns"),
        (NONE, "required", ["fail"], "apt-get install bubblewrap slirp4netns"),
    ],
)
def test_what_is_missing_is_named_with_its_remedy(
    found: SandboxFinding, mode: str, statuses: list[str], remedy: str
) -> None:
    findings = list(judge(found, mode=mode))

    assert [one.status for one in findings] == statuses
    assert remedy in findings[-1].says


def test_a_sandbox_that_is_switched_off_is_said() -> None:
    (found,) = examine_sandbox(SandboxSettings("off"))

    assert (found.status, "AIWORKER_SANDBOX=off" in found.says) == ("warn", True)
