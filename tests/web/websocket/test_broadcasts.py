"""What one turn writes, on real pairs of sockets: every socket its frames, in their order, with one write."""

from __future__ import annotations

from collections.abc import Callable

from tests.web.websocket.pairs import Pair, received
from web.websocket import frames
from web.websocket.broadcasts import Broadcast


def frame(text: str) -> bytes:
    return frames.build_text(text)


def test_everybody_gets_the_frames_of_their_groups_in_order(new_pair: Callable[[], Pair]) -> None:
    (one, ones), (both, boths), (alone, alones), (_none, nones) = (new_pair() for _ in range(4))
    turn = Broadcast()
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
