"""Versions of many projects that fail together: the machine is at fault, and none of them is judged by it."""

from __future__ import annotations

import asyncio

from workers.supervisor.units.overload import LEAST_PROJECTS, STARTS_AT_ONCE, Overload, StartPermit


def test_a_project_is_one_however_many_of_its_versions_fail() -> None:
    overload = Overload()
    for _ in range(LEAST_PROJECTS):
        overload.note("project-1")
    assert not overload.is_now
    for number in range(LEAST_PROJECTS):
        overload.note(f"project-{number}")
    assert overload.is_now


def test_starts_take_turns() -> None:
    async def starts() -> None:
        overload = Overload()
        turns = [await overload.turn() for _ in range(STARTS_AT_ONCE)]
        waiting = asyncio.create_task(overload.turn())
        await asyncio.sleep(0)
        assert not waiting.done()
        for _ in range(3):
            turns[0].end()  # one turn is given back once, however often it ends
        turns.append(await waiting)
        another = asyncio.create_task(overload.turn())
        await asyncio.sleep(0)
        assert not another.done()
        for turn in turns:
            turn.end()
        assert isinstance(await another, StartPermit)

    asyncio.run(starts())
