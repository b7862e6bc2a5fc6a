"""What the server says is found in its code, and each sentence and field of it has a Spanish text."""

from __future__ import annotations

from collections import Counter

from tests.web.page_texts import placeholders
from tests.web.server_texts import refusals, said_nowhere, translations, wanted_fields, without_names

SENTENCES, FIELDS = translations()


def test_every_refusal_and_every_field_is_translated() -> None:
    missing = refusals() - {without_names(key) for key, _text in SENTENCES}

    assert sorted(missing) == [], "python -m tests.web.server_texts lists what is missing"
    assert wanted_fields() == {key for key, _text in FIELDS}


def test_the_server_still_says_what_is_translated() -> None:
    assert said_nowhere([key for key, _text in SENTENCES]) == []
    assert [key for key, count in Counter(key for key, _text in SENTENCES).items() if count > 1] == []


def test_a_translation_has_the_holes_of_its_sentence() -> None:
    assert [key for key, text in SENTENCES if placeholders(key) != placeholders(text) or not text] == []
