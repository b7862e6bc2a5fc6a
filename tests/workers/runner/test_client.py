"""What the runner sends is fit to be stored, whatever an agent's commands print."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from web.http.json_strict import parse_object
from workers.runner.client import fit


def test_what_no_database_keeps_is_left_out() -> None:
    assert fit({"lines": [{"message": "a\0b\ud800c\x1b[1m"}], "done": 1}) == {
        "lines": [{"message": "ab?c\x1b[1m"}],
        "done": 1,
    }


@given(st.dictionaries(st.sampled_from(["message", "question"]), st.text(st.characters(codec=None))))
def test_the_platform_takes_whatever_is_fit(body: dict[str, str]) -> None:
    assert parse_object(json.dumps(fit(body)).encode()) == fit(body)
