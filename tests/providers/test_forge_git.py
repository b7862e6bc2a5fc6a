"""How git is run: with limits, for a bounded time, and what each way of ending is called."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from common.errors import CutShort
from common.machine.git import limits
from common.providers.forge import git
from tests.providers.forge_contract import refused


def _says(shell: str) -> tuple[str, ...]:
    """Arguments for a real git that does what the shell does, as its child."""
    return ("-c", f"alias.x=!{shell}", "x")


def test_a_git_process_has_limits_and_so_have_its_children() -> None:
    said = git.run(None, *_says("cat /proc/self/limits")).line
    found = {line[:26].strip(): line[26:].split()[:2] for line in said.splitlines()}

    most = {"Max data size": limits.MEMORY_BYTES, "Max cpu time": limits.CPU_SECONDS,
            "Max file size": limits.FILE_BYTES, "Max core file size": 0}  # fmt: skip
    assert {name: found[name] for name in most} == {name: [str(value)] * 2 for name, value in most.items()}
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] != limits.MEMORY_BYTES


def test_a_git_that_takes_too_long_was_cut_short() -> None:
    with pytest.raises(CutShort, match=r"took longer than 0\.2 s") as cut:
        git.run(None, *_says("sleep 60"), timeout_seconds=0.2)
    assert cut.value.retry_after_seconds == 0.2


@pytest.mark.parametrize("accept", [(0,), ()])
@pytest.mark.parametrize(
    "trouble",
    [
        "kill -KILL $PPID",
        "echo 'error: index-pack died of signal 9' >&2; exit 128",
        "echo 'fatal: write error: No space left on device' >&2; exit 128",
        "echo 'fatal: sha1 file write error. Disk quota exceeded' >&2; exit 1",
    ],
)
def test_what_the_machine_ended_is_never_an_answer(trouble: str, accept: tuple[int, ...]) -> None:
    with pytest.raises(CutShort):
        git.run(None, *_says(trouble), accept=accept)


@pytest.mark.parametrize("accept", [(0,), ()])
@pytest.mark.parametrize(
    "trouble",
    [
        "kill -XCPU $PPID",
        "kill -XFSZ $PPID",
        "echo 'fatal: inflate: out of memory' >&2; exit 128",
        "echo 'fatal: Out of memory, malloc failed (tried to allocate 4294967296 bytes)' >&2; exit 128",
    ],
)
def test_what_needs_more_than_it_may_use_is_refused(trouble: str, accept: tuple[int, ...]) -> None:
    with refused("too_large"):
        git.run(None, *_says(trouble), accept=accept)


def test_an_endless_output_is_refused_unless_its_beginning_was_asked_for() -> None:
    with refused("too_large"):
        git.run(None, *_says("cat /dev/zero"))

    answer = git.run(None, *_says("cat /dev/zero"), max_bytes=1000)
    assert (len(answer.stdout), answer.stdout_is_cut) == (1000, True)


def test_a_directory_that_is_no_repository_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "shop.git").mkdir()
    for accept in ((0,), (0, 1, 128), ()):
        with refused("broken_repository"):
            git.run(tmp_path / "shop.git", "for-each-ref", accept=accept)
