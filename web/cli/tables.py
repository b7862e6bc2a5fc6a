"""How rows look on a terminal: columns that fit its width, short ids, and a colour for each state."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

import click

SHORT_ID_DIGITS = 8
SHORTEST_ID_DIGITS = 4
"""How few of an id's last digits people may type."""
NARROWEST = 3
GAP = "  "
_UUID = re.compile(r"(?:q-)?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\Z")
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")

_COLOURS = {
    "green": ("approved", "production", "completed", "active", "done", "passed", "staging", "merged", "answered"),
    "yellow": ("needs_input", "ready_to_test", "pending", "conflict", "parked", "flaky"),
    "red": ("failed", "refused", "rejected", "error", "offline"),
    "cyan": (
        "in_progress",
        "provisioning",
        "merging",
        "deploying_staging",
        "deploying_production",
        "running",
        "working",
    ),
    "bright_black": ("cancelled", "superseded", "rolled_back", "backlog", "deleting", "skipped"),
}
COLOUR_OF = {word: colour for colour, words in _COLOURS.items() for word in words}
"""The colour of each state that has one."""


def short_id(whole: str) -> str:
    """The last 8 digits of an id, as in branch names. What is no id stays as it is."""
    return whole[-SHORT_ID_DIGITS:] if _UUID.fullmatch(whole) else whole


def in_words(name: str) -> str:
    """The name of a field as people write it: `taskGroups` is `task groups`."""
    return _WORDS.sub(" ", name).lower()


def counted(number: int, one: str, several: str | None = None) -> str:
    """So many of a thing, in words: `1 task`, `1,000 tasks`. several: the plural, unless it is the word with an s."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def width_of(text: str) -> int:
    """Columns of a terminal that the text takes."""
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text
    )


def cut(text: str, columns: int) -> str:
    """The text within this number of columns; what was cut off is an ellipsis."""
    if width_of(text) <= columns:
        return text
    kept, used = "", 0
    for sign in text:
        used += width_of(sign)
        if used > columns - 1:
            break
        kept += sign
    return f"{kept}…"


def table(rows: Sequence[Sequence[str]], names: Sequence[str], width: int) -> Iterator[str]:
    """The lines of a table with a heading: one line per row, none wider than `width` columns if the ids leave room.

    rows: cells of one line each. Columns without any content are left out. The widest columns are cut first; one named
    `id` never is, as people type what it shows.
    """
    filled = [number for number in range(len(names)) if any(row[number] for row in rows)]
    heads = [in_words(names[number]).upper() for number in filled]
    columns = [[row[number] for row in rows] for number in filled]
    widths = [max(map(width_of, [head, *cells])) for head, cells in zip(heads, columns, strict=True)]
    cuttable = [place for place, number in enumerate(filled) if names[number] != "id"]
    room = width - len(GAP) * (len(filled) - 1) - sum(widths)
    fitted = _fitted([widths[place] for place in cuttable], room + sum(widths[place] for place in cuttable))
    for place, columns_wide in zip(cuttable, fitted, strict=True):
        widths[place] = columns_wide
    yield click.style(_joined(heads, widths), bold=True)
    for row in zip(*columns, strict=True):
        yield _joined(row, widths)


def _fitted(wanted: list[int], room: int) -> list[int]:
    widths = list(wanted)
    while sum(widths) > room and max(widths, default=0) > NARROWEST:
        widest = max(widths)
        second = max((one for one in widths if one < widest), default=NARROWEST)
        among = widths.count(widest)
        step = max(1, min(widest - max(second, NARROWEST), -(-(sum(widths) - room) // among)))
        widths[widths.index(widest)] -= step
    return widths


def _joined(cells: Sequence[str], widths: Sequence[int]) -> str:
    shown = []
    for cell, columns in zip(cells, widths, strict=True):
        text = cut(cell, columns)
        padding = " " * (columns - width_of(text))
        shown.append((click.style(text, fg=COLOUR_OF[cell]) if cell in COLOUR_OF else text) + padding)
    return GAP.join(shown).rstrip()
