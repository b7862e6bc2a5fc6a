"""What the runner sends is fit to be stored, whatever an agent's commands print."""

from __future__ import annotations

from workers.runner.client import fit


def test_what_no_database_keeps_is_left_out() -> None:
    assert fit({"lines": [{"message": "a\0b\ud800c\x1b[1m"}], "done": 1}) == {
        "lines": [{"message": "ab?c\x1b[1m"}],
        "done": 1,
    }
