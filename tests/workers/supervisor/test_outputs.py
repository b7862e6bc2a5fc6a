"""Copying programs' output leaves the supervisor's loop to others, and loses nothing of what a program printed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from common.values.app import Space
from common.values.check import CheckPhase
from tests.providers.runtime_contract import check_of, finished
from tests.providers.runtime_supervisor import Repository, supervised
from workers.supervisor.outputs import LoopShare, Output

PIPE_BYTES = 2**16


class _Chunks:
    """Keeps what it is given. at_each: called for each chunk."""

    def __init__(self, at_each: Callable[[], object] = lambda: None) -> None:
        self.chunks: list[bytes] = []
        self.has_ended = False
        self.at_each = at_each

    def write(self, chunk: bytes) -> None:
        self.chunks.append(chunk)
        self.at_each()

    def end(self) -> None:
        self.has_ended = True


class _Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_an_hour(self) -> None:
        self.now += 3600


def _full_pipe() -> tuple[int, int]:
    ours, theirs = os.pipe()
    assert os.write(theirs, b"x" * PIPE_BYTES) == PIPE_BYTES
    return ours, theirs


@pytest.mark.parametrize("begun", [False, True])
def test_what_a_program_left_in_the_pipe_is_copied_without_pauses(*, begun: bool) -> None:
    """Its end, too. begun: the copy pauses already."""

    async def settle() -> None:
        clock = _Clock()
        sink, (ours, theirs) = _Chunks(clock.pass_an_hour), _full_pipe()
        output = Output(ours, sink, LoopShare(clock))
        while begun and not sink.chunks:
            await asyncio.sleep(0)
        os.close(theirs)
        await output.settle()

        assert b"".join(sink.chunks) == b"x" * PIPE_BYTES
        assert sink.has_ended
        await output.settle()

    asyncio.run(settle())


@pytest.mark.slow
def test_the_log_of_a_check_is_whole_at_its_end_however_slowly_output_is_copied(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    version = repository.version("x", repository.commit(README="hello"))
    with supervised(tmp_path / "runtime", constants={"outputs.LOOP_SHARE": 1e-9}) as supervisor:
        check = check_of(version, Space("shop-0000beef", "project-1"), "c", "seq 10000; printf 'the end'")
        supervisor.runtime.ensure_check(check)
        state = finished(supervisor.runtime, check)

    assert state.phase is CheckPhase.PASSED
    assert state.log == "".join(f"{number}\n" for number in range(1, 10001)) + "the end"
