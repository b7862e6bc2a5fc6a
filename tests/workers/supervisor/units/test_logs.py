"""What the supervisor keeps of a program's output has no secret in it, however the output was cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.secrets.masking import Mask
from workers.supervisor.units.logs import WAITED_BYTES, Masked, Tail

SECRET = "canary-wörd-41c"
OUTPUT = f"begin {SECRET} end\r\n\x1b[31mcanary-\x1b[0mwörd-41c\nlast line {SECRET}".encode()
SHOWN = "begin *** end\n***\nlast line ***"


def kept(*chunks: bytes) -> str:
    tail = Tail()
    sink = Masked(tail, Mask([SECRET]))
    for chunk in chunks:
        sink.write(chunk)
    sink.end()
    return tail.text()


@settings(max_examples=60)
@given(st.lists(st.integers(0, len(OUTPUT)), max_size=4))
def test_a_secret_is_masked_wherever_the_output_is_cut(cuts: list[int]) -> None:
    places = sorted([0, *cuts, len(OUTPUT)])
    chunks = [OUTPUT[begin:end] for begin, end in pairwise(places)]

    assert kept(*chunks) == SHOWN


@pytest.mark.parametrize("before", [WAITED_BYTES - 5, WAITED_BYTES + 1])
def test_a_line_without_end_is_masked_too(before: int) -> None:
    output = b"x" * before + SECRET.encode() + b"y" * (2 * WAITED_BYTES)
    chunks = [output[at : at + 4096] for at in range(0, len(output), 4096)]
    tail = _Everything()
    sink = Masked(tail, Mask([SECRET]))
    for chunk in chunks:
        sink.write(chunk)
    sink.end()

    assert tail.output == b"x" * before + b"***" + b"y" * (2 * WAITED_BYTES)


class _Everything:
    """Keeps all that it is given."""

    def __init__(self) -> None:
        self.output = b""

    def write(self, chunk: bytes) -> None:
        self.output += chunk

    def end(self) -> None:
        pass
