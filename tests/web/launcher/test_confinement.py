"""What a start installs and says of the sandbox."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import Misconfigured
from common.machine.programs.bubblewrap import find_sandbox
from common.settings import SandboxSettings
from web.launcher.confinement import ensure_sandbox

APT = """#!/bin/sh
echo "$1" >>{calls}
[ "$1" = update ] && exit 0
if [ ! -e {fresh} ]; then echo first >{fresh}; echo "E: Unable to locate package" >&2; exit 100; fi
for last; do :; done
[ "$last" = bubblewrap ] && last=bwrap
printf '#!/bin/sh\\necho "bwrap: No permissions to create a new namespace" >&2\\nexit 1\\n' >{folder}/"$last"
/bin/chmod 755 {folder}/"$last"
"""


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A PATH with an apt-get alone, which has no package until its lists are fetched. Returns its record of calls."""
    calls = tmp_path / "calls"
    apt = tmp_path / "apt-get"
    apt.write_text(APT.format(calls=calls, fresh=tmp_path / "fresh", folder=tmp_path))
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    find_sandbox.cache_clear()
    yield calls
    find_sandbox.cache_clear()


def test_root_installs_what_is_missing_and_others_are_told(bare_machine: Path) -> None:
    said: list[str] = []

    lines = ensure_sandbox(SandboxSettings(), installs=True, say=said.append)

    assert lines[0].startswith("NOT confined: ")
    if os.geteuid() == 0:
        assert said == ["Installing bubblewrap and slirp4netns, in which agents are confined …"]
        assert bare_machine.read_text().split() == ["install", "update", "install", "install"]
        assert "No permissions to create a new namespace" in lines[1]
    else:
        assert said == []
        assert not bare_machine.exists()
        assert lines[1].endswith("apt-get install bubblewrap slirp4netns")


@pytest.mark.usefixtures("bare_machine")
def test_a_start_that_requires_a_sandbox_is_refused_with_one_line() -> None:
    with pytest.raises(Misconfigured) as refused:
        ensure_sandbox(SandboxSettings("required"), installs=False, say=pytest.fail)

    assert str(refused.value) == (
        "AIWORKER_SANDBOX=required, but bubblewrap (bwrap) is not installed; apt-get install bubblewrap slirp4netns"
    )
