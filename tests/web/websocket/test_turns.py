"""What one turn writes, on real pairs of sockets: every socket its frames, in their order, with one write."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.web.websocket.pairs import Pair, received
from web.websocket import frames
from web.websocket.turns import Turn


def frame(text: str) -> bytes:
    return frames.build_text(text)


def test_everybody_gets_the_frames_of_their_groups_in_order(new_pair: Callable[[], Pair]) -> None:
    (one, ones), (both, boths), (alone, alones), (_none, nones) = (new_pair() for _ in range(4))
    turn = Turn()
    turn.add("a", lambda: [one, both], frame("a1"))
    turn.add("b", lambda: [both], frame("b1"))
    turn.add_for(alone, frame("alone"))
    turn.add("a", lambda: [one, both], frame("a2"))
    turn.add_for(both, frame("both"))
    turn.add("b", lambda: [both], frame("b2"))
    turn.end()

    assert received(ones) == frame("a1") + frame("a2")
    assert received(boths) == frame("a1") + frame("b1") + frame("a2") + frame("both") + frame("b2")
    assert received(alones) == frame("alone")
    assert received(nones) == b""


def test_a_turn_is_empty_when_it_has_ended(new_pair: Callable[[], Pair]) -> None:
    one, ones = new_pair()
    turn = Turn()
    turn.end()
    for text in ("first", "second"):
        turn.add("a", lambda: [one], frame(text))
        turn.end()
        assert received(ones) == frame(text)


def test_frames_are_joined_once_for_all_who_get_the_same(
    new_pair: Callable[[], Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [new_pair() for _ in range(120)]
    written: list[bytes] = []
    write = os.write

    def counted(descriptor: int, data: bytes) -> int:
        written.append(data)
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", counted)
    turn = Turn()
    for number in range(3):
        turn.add("a", lambda: [connection for connection, _theirs in pairs], frame(str(number)))
    turn.end()

    assert len(written) == 120
    assert len({id(data) for data in written}) == 1
    assert {received(theirs) for _connection, theirs in pairs} == {frame("0") + frame("1") + frame("2")}


def test_what_waits_of_an_earlier_turn_comes_first(new_pair: Callable[[], Pair]) -> None:
    one, ones = new_pair()
    one.queue(frame("answer"))
    turn = Turn()
    turn.add("a", lambda: [one], frame("event"))
    turn.end()

    assert received(ones) == frame("answer") + frame("event")
