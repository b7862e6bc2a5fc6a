"""Copying programs' output leaves the supervisor's loop to others, and loses nothing of what a program printed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from common.values.app import Space
from common.values.check import CheckPhase
from tests.providers.runtime_contract import check_of, finished
from tests.providers.runtime_supervisor import Repository, supervised
from workers.supervisor.outputs import CHUNK_BYTES, LoopShare, Output

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


def test_the_loop_serves_others_between_any_two_chunks_of_all_outputs() -> None:
    served, served_before = 0, list[int]()

    async def serve() -> None:
        nonlocal served
        while True:
            served += 1
            await asyncio.sleep(0)

    async def copy() -> None:
        others, share = asyncio.create_task(serve()), LoopShare(lambda: 0.0)
        sinks = [_Chunks(lambda: served_before.append(served)) for _ in range(3)]
        outputs = []
        for sink in sinks:
            ours, theirs = _full_pipe()
            os.close(theirs)
            outputs.append(Output(ours, sink, share))
        await asyncio.wait_for(asyncio.gather(*(output.copying for output in outputs)), 60)
        others.cancel()
        assert [b"".join(sink.chunks) for sink in sinks] == [b"x" * PIPE_BYTES] * 3

    asyncio.run(copy())

    assert len(served_before) == 3 * PIPE_BYTES // CHUNK_BYTES
    assert all(before < after for before, after in pairwise(served_before))


@pytest.mark.parametrize(("took", "busy", "seconds"), [(0.01, 1, 0.04), (0.01, 4, 0.16), (0.0, 3, 0.0)])
def test_all_outputs_together_take_a_quarter_of_the_loop(took: float, busy: int, seconds: float) -> None:
    share = LoopShare()
    share.busy = busy

    assert share.seconds_for(took) == pytest.approx(seconds)


def test_an_output_that_took_long_pauses_while_its_program_prints_on() -> None:
    async def copy() -> tuple[int, int]:
        clock = _Clock()
        sink, (ours, theirs) = _Chunks(clock.pass_an_hour), _full_pipe()
        output = Output(ours, sink, LoopShare(clock))
        for _ in range(1000):
            await asyncio.sleep(0)
        taken = len(sink.chunks)
        output.copying.cancel()
        await asyncio.wait({output.copying})
        os.close(theirs)
        return taken, sink.has_ended

    assert asyncio.run(copy()) == (1, True)


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


def test_a_process_that_holds_the_pipe_does_not_keep_an_output_from_being_settled() -> None:
    async def settle() -> None:
        clock = _Clock()
        sink, (ours, theirs) = _Chunks(clock.pass_an_hour), _full_pipe()
        sink.at_each = lambda: (clock.pass_an_hour(), os.write(theirs, b"y" * CHUNK_BYTES))
        output = Output(ours, sink, LoopShare(clock))
        await output.settle()
        assert b"".join(sink.chunks).startswith(b"x" * PIPE_BYTES)
        assert len(sink.chunks) == PIPE_BYTES // CHUNK_BYTES + 1
        output.copying.cancel()
        await asyncio.wait({output.copying})
        os.close(theirs)

    asyncio.run(settle())


def test_an_output_in_which_nothing_waits_is_settled() -> None:
    async def settle() -> None:
        ours, theirs = os.pipe()
        output = Output(ours, _Chunks(), LoopShare())
        for _ in range(10):
            await asyncio.sleep(0)
        await output.settle()
        os.close(theirs)
        await asyncio.wait_for(output.copying, 60)

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
