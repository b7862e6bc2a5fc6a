"""Every text of the page goes through the catalogue, and the catalogue is whole."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from common.services.runs.steering import RELEASE_SECONDS
from tests.web.page_texts import (
    CATALOGUES,
    catalogue,
    catalogues,
    first_keys,
    modules,
    placeholders,
    read_texts,
    said_at_load,
    shown_texts,
    used_keys,
    wanted_keys,
)

PAIRS = catalogues()
# What the built-in agent reads, not a person.
NO_TEXT = {"parts/steps-hint.mjs": r"\`\`\`steps"}


def _found(source: str) -> list[str]:
    return [text for _line, text in shown_texts(source)]


@pytest.mark.slow
def test_every_text_is_translated() -> None:
    keys = {key for key, _text in PAIRS}

    assert sorted(wanted_keys() - keys) == [], "python -m tests.web.page_texts lists what is missing"
    assert sorted(keys - wanted_keys()) == [], "nothing uses these any more"
    assert [key for key, count in Counter(key for key, _text in PAIRS).items() if count > 1] == []


@pytest.mark.slow
def test_a_visit_waits_for_the_words_of_the_first_script_alone() -> None:
    first, later = ({key for key, _text in catalogue(path.read_text("utf-8"))} for path in CATALOGUES)

    assert sorted(first ^ first_keys()) == [], "python -m tests.web.page_texts says which catalogue they belong to"
    assert sorted(first & later) == []


def test_a_translation_has_the_placeholders_of_its_text() -> None:
    assert [key for key, text in PAIRS if placeholders(key) != placeholders(text) or not text] == []


def test_times_that_texts_name_are_those_of_the_platform() -> None:
    """What a setting changes is named by no text."""
    keys = "\n".join(key for key, _text in PAIRS)

    assert f"puts what it has done on the branch, for {RELEASE_SECONDS} seconds at most" in keys
    assert "last seven days" not in keys, "AIWORKER_KEEP_DELIVERY_DAYS says how long messages are kept"


@pytest.mark.slow
def test_no_text_for_a_person_passes_the_catalogue_by() -> None:
    found = [
        f"{name}:{line}: {text}"
        for name, source in modules().items()
        for line, text in shown_texts(source)
        if not text.startswith(NO_TEXT.get(name, "\0"))
    ]

    assert found == []


@pytest.mark.slow
def test_no_text_depends_on_its_indentation() -> None:
    """A bundle has none. Within tags it makes no difference."""

    def indented(source: str) -> list[str]:
        texts = [text.value for text in read_texts(source) if text.kind in {"string", "template"}]
        return [text for text in texts if re.search(r"\n[ \t]", text)]

    assert indented("html`<p>\n ${`x\n y`}</p>`") == ["x\n y"]
    assert {name: indented(source) for name, source in modules().items() if indented(source)} == {}


@pytest.mark.slow
def test_no_text_is_translated_when_its_module_is_loaded() -> None:
    assert said_at_load('const A = { b: t("One"), c: mark("Two") };\nconst d = () => t("Three");') == ["One"]
    assert {name: said_at_load(source) for name, source in modules().items() if said_at_load(source)} == {}


def test_no_number_is_written_as_in_another_language_than_the_page_has() -> None:
    assert [name for name, source in modules().items() if re.search(r"\.toLocaleString\(\)|\.toFixed\(", source)] == []


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("html`<p>Hello there</p>`", ["Hello there"]),
        ("html`<p>${t('Hello there')}</p>`", []),
        ("html`<p>${name} · ${age}</p>`", []),
        ("html`<p>${a && html`<b>Deep</b>`}</p>`", ["Deep"]),
        ("html`<p>Hello <b>${name}</b>, you</p>`", ["Hello", ", you"]),
        ('html`<${Page} title="A page" name="page" />`', ["A page"]),
        ("html`<${Page} title=${`${n} pages`} class=${`page ${kind} wide`} />`", ["{} pages"]),
        ("html`<code>git clone</code>`", []),
        ('html`<p title="${x}">&nbsp;×</p>`', []),
        ('told("It is done.");', ["It is done."]),
        ('const A = { b: "Some words" };', ["Some words"]),
        ('const A = { b: mark("Some words") };', []),
        ('cls("button small", on && "on")', []),
        ('if (event.key === "Escape") go("#/inbox");', []),
        ('import { a } from "./a b.mjs"; // Not a text', []),
        ("t(`${n} pages`)", ["{} pages"]),
        ('t("Some " + "words")', []),
        ("text.replace(/[\"'`] Some words/g, x)", []),
    ],
)
def test_what_a_person_reads_is_found(source: str, texts: list[str]) -> None:
    assert _found(source) == texts


@pytest.mark.parametrize(
    ("source", "keys"),
    [
        ('t("One")', ["One"]),
        ('t("One " +\n  "two", { three: "four" })', ["One two"]),
        ('tn(count, "{count} one", "{count} many", { of: "x" })', ["{count} one", "{count} many"]),
        ('t(yes ? "One" : "Two")', ["One", "Two"]),
        ('th("In {place}", { place: html`<b>${t("Here")}</b>` })', ["In {place}", "Here"]),
        ('const A = [["a", mark("One")]]; list("Two")', ["One"]),
        (r't("Say \"hello\"")', ['Say "hello"']),
    ],
)
def test_what_is_looked_up_is_found(source: str, keys: list[str]) -> None:
    assert list(used_keys(source)) == keys


def test_a_line_that_is_no_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="no pair of texts"):
        catalogue('export const TEXTS = {\n  "One": other,\n};\n')
