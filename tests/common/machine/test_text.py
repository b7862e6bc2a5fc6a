"""Text of others loses what a terminal would obey and what can't be stored, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.machine import text

WRITTEN = "wörd\ttab\r\n\x1b[1;31mred\x1b[0m\x1b]0;title\x07 \x1b]8;;http://x\x1b\\link\x1bM\x9b\x00\x7f end"


def test_sequences_and_controls_go_and_lines_stay() -> None:
    assert text.without_controls(WRITTEN) == "wörd\ttab\nred link end"
    assert text.plain(WRITTEN.encode()) == "wörd\ttab\nred link end"


def test_a_title_without_end_takes_a_message_with_it_but_no_log() -> None:
    assert text.without_controls("shown\x1b]0;title\nmore") == "shown"
    assert text.without_controls("shown\x1b]0;title\nmore", is_whole=False) == "shown0;title\nmore"
    assert text.plain(b"shown\x1b]0;title\nmore") == "shown0;title\nmore"


@given(st.text())
def test_what_is_left_has_no_control(written: str) -> None:
    assert not text.has_control_but_lines(text.without_controls(written))
    assert "\x1b" not in text.plain(written.encode("utf-8", "replace"))


@pytest.mark.parametrize(
    ("written", "has_control", "has_but_lines", "has_invisible"),
    [
        ("plain wörd", False, False, False),
        ("two\r\nlines\t", True, False, False),
        ("bell\x07", True, True, False),
        ("C1 \x85", True, True, False),
        ("\u202eright to left", False, False, True),
        ("tag \U000e0041", False, False, True),
        ("a family: \U0001f468\u200d\U0001f469\u200d\U0001f467", False, False, False),
        ("joined letters a\u200db", False, False, True),
    ],
)
def test_what_a_name_may_not_hold_is_found(
    written: str, has_control: bool, has_but_lines: bool, has_invisible: bool
) -> None:
    found = (text.has_control(written), text.has_control_but_lines(written), text.has_invisible(written))

    assert found == (has_control, has_but_lines, has_invisible)


@pytest.mark.parametrize(
    ("written", "left"),
    [
        ("\u200b\ufeff", ""),
        ("Safe fix \u202egnp.exe", "Safe fix gnp.exe"),
        ("\u2066a\u2069 wörd", "a wörd"),
        (
            "a family: \U0001f468\u200d\U0001f469\u200d\U0001f467",
            "a family: \U0001f468\u200d\U0001f469\u200d\U0001f467",
        ),
        ("a join\u200der, \U0001f468\u200d", "a joiner, \U0001f468"),
    ],
)
def test_what_is_invisible_is_removed(written: str, left: str) -> None:
    assert text.without_invisible(written) == left
    assert not text.has_invisible(left)


def test_what_no_database_keeps_is_replaced() -> None:
    assert text.storable("a\0b\ud800c\x1b[1m") == "ab?c\x1b[1m"
