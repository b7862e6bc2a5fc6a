"""Every text of the page goes through the catalogue, and the catalogue is whole."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.web.page_texts import (
    CATALOGUES,
    catalogue,
    catalogues,
    first_keys,
    modules,
    placeholders,
    untranslated,
    used_keys,
    wanted_keys,
)

PAIRS = catalogues()


def test_every_text_is_translated() -> None:
    keys, wanted = {key for key, _text in PAIRS}, wanted_keys()

    assert sorted(wanted - keys) == [], "python -m tests.web.page_texts lists what is missing"
    assert sorted(keys - wanted) == [], "nothing uses these any more"
    assert [key for key, count in Counter(key for key, _text in PAIRS).items() if count > 1] == []


@pytest.mark.slow
def test_a_visit_waits_for_the_words_of_the_first_script_alone() -> None:
    first, later = ({key for key, _text in catalogue(path.read_text("utf-8"))} for path in CATALOGUES)

    assert sorted(first ^ first_keys()) == [], "python -m tests.web.page_texts says which catalogue they belong to"
    assert sorted(first & later) == []


def test_a_translation_has_the_placeholders_of_its_text() -> None:
    assert [key for key, text in PAIRS if placeholders(key) != placeholders(text) or not text] == []


def test_no_text_for_a_person_passes_the_catalogue_by() -> None:
    assert untranslated('html`<p title="A page">${t("Hello")} <b>Hello there</b></p>`') == ["Hello there", "A page"]
    assert {name: found for name, source in modules().items() if (found := untranslated(source))} == {}


@pytest.mark.parametrize(
    ("source", "keys"),
    [
        ('t("One " +\n  "two", { three: "four" })', ["One two"]),
        ('tn(count, "{count} one", "{count} many", { of: "x" })', ["{count} one", "{count} many"]),
        ('t(yes ? "One" : "Two")', ["One", "Two"]),
        (r'th("Say \"hello\"", { place: html`<b>${t("Here")}</b>` })', ['Say "hello"', "Here"]),
    ],
)
def test_what_is_looked_up_is_found(source: str, keys: list[str]) -> None:
    assert list(used_keys(source)) == keys
