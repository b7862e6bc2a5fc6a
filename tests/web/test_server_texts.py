"""What the server says is found in its code, and each sentence and field of it has a Spanish text."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.web.page_texts import placeholders
from tests.web.server_texts import (
    said_in,
    translations,
    wanted_fields,
    wanted_sentences,
)

SENTENCES, FIELDS = translations()


def _sentences(source: str) -> list[str]:
    return sorted(text for text, is_prose in said_in(source).items() if is_prose)


@pytest.mark.parametrize(
    ("wanted", "pairs"), [(wanted_sentences(), SENTENCES), (wanted_fields(), FIELDS)], ids=["sentences", "fields"]
)
def test_everything_that_the_server_says_is_translated(wanted: set[str], pairs: list[tuple[str, str]]) -> None:
    keys = {key for key, _text in pairs}

    assert sorted(wanted - keys) == [], "python -m tests.web.server_texts lists what is missing"
    assert sorted(keys - wanted) == [], "the server does not say this any more"
    assert [key for key, count in Counter(key for key, _text in pairs).items() if count > 1] == []


def test_a_translation_has_the_holes_of_its_sentence() -> None:
    assert [key for key, text in SENTENCES if placeholders(key) != placeholders(text) or not text] == []


@pytest.mark.parametrize(
    ("source", "sentences"),
    [
        ('raise Conflict(f"task {task.id} is {task.state}; it waits")', ["task {id} is {state}; it waits"]),
        ("why = f\"{len(names)} tests fail: {', '.join(names)}\"", ["{count} tests fail: {names}"]),
        ("why = f\"it ran{' again' if twice else ''} here\"", ["it ran again here", "it ran here"]),
        ('raise Invalid("title", "Required")', ["Required"]),
        ('def f() -> None:\n    """Say what it is."""', []),
        ('log.error("the request failed")', []),
    ],
)
def test_a_sentence_is_found_with_its_holes(source: str, sentences: list[str]) -> None:
    assert _sentences(source) == sentences
