"""What the server says is found in its code, and each sentence and field of it has a Spanish text."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.web.page_texts import placeholders
from tests.web.server_texts import (
    ROOT,
    SHORT,
    SPOKEN,
    UNHEARD,
    UNHEARD_FILES,
    WORDS,
    all_texts,
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


@pytest.mark.slow
def test_what_is_excepted_is_still_there() -> None:
    texts = all_texts()

    assert sorted((UNHEARD | SHORT | WORDS) - texts.keys()) == []
    assert [name for name in (*SPOKEN, *UNHEARD_FILES) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize(
    ("source", "sentences"),
    [
        ('raise Conflict(f"task {task.id} is {task.state}; it waits")', ["task {id} is {state}; it waits"]),
        ('raise Conflict(f"task {task.id} follows {other.id}")', ["task {id} follows {id2}"]),
        ("why = f\"{len(names)} tests fail: {', '.join(names)}\"", ["{count} tests fail: {names}"]),
        ('why = f"it took {wait[:3]} s" + f" and ended"', ["it took {wait} s and ended"]),
        ("why = f\"it ran{' again' if twice else ''} here\"", ["it ran again here", "it ran here"]),
        ('why = ", ".join(names) + (f" and {more} more" if more else "")', ["{names} and {more} more"]),
        ('raise Invalid("title", "Required")', ["Required"]),
        ('kind = "Required"', []),
        ('def f() -> None:\n    """Say what it is."""', []),
        ('log.error("the request failed")', []),
        ('raise NotFound(f"there is no task {task_id}")', []),
        ('if why == "it took too long": stop()', []),
        ('run("git fetch\\ngit push")', []),
    ],
)
def test_a_sentence_is_found_with_its_holes(source: str, sentences: list[str]) -> None:
    assert _sentences(source) == sentences
