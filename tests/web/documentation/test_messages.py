"""The messages that docs/troubleshooting.md explains are those of the programs, and its labels those of the page."""

from __future__ import annotations

import re

import pytest

from tests.web.documentation.snippets import ROOT
from tests.web.page_texts import wanted_keys

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
_JOINED = re.compile(r'"\s*\n\s*f?"')
_LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)+)"')


def _explained() -> list[str]:
    """The messages in the first cells of the tables' rows: what is in backticks and holds more than one word."""
    cells = [line.split(" | ")[0] for line in PAGE.splitlines() if line.startswith("| ")]
    codes = [found for cell in cells for found in re.findall(r"``(.+?)``|`([^`]+)`", cell)]
    return [text for pair in codes for text in pair if " " in text.strip()]


def _printed() -> list[str]:
    """Every text in the sources, with `{}` for each value in it, long ones in one piece."""
    texts = []
    for folder in ("common", "web", "workers"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            joined = _JOINED.sub("", path.read_text("utf-8"))
            texts += [re.sub(r"\{[^{}]*\}", "{}", text) for text in _LITERAL.findall(joined) if " " in text]
    return texts


def _is_printed(message: str, texts: list[tuple[int, str]]) -> bool:
    """Whether one of the texts says this, with something for each of its values: they may be a fifth of the message.

    texts: with the number of signs that are no values.
    """
    least = 0.8 * len(message.replace("…", ""))
    likely = (text for fixed, text in texts if least <= fixed <= len(message))
    return any(re.fullmatch(".+?".join(map(re.escape, text.split("{}"))), message) for text in likely)


def test_every_message_that_is_explained_is_one_of_a_program() -> None:
    texts = [(len(text.replace("{}", "")), text) for text in set(_printed())]
    explained = _explained()

    assert len(explained) > 25
    assert [message for message in explained if not _is_printed(message, texts)] == []
    assert not _is_printed("the data directory … is used by process …; stop it, or set AIWORKER_DATA_DIR", texts)


def test_every_label_that_is_named_is_one_of_the_page() -> None:
    named = re.findall(r"\*\*([^*]+)\*\*", PAGE)

    assert len(named) > 8
    assert sorted(set(named) - wanted_keys()) == []
