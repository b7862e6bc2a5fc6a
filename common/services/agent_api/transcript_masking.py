"""The details of transcript entries, from an agent: cleaned, masked, and cut to a size that can be stored and shown."""

from __future__ import annotations

import json
from collections.abc import Mapping

from common.machine.text import storable, without_controls
from common.secrets.masking import LEAST_CHARACTERS, Mask, Pause
from common.services.runs.log_entries import cut

MOST_BYTES = 64 * 2**10
"""Largest details of one entry, as JSON in UTF-8."""
DEEPEST = 12
MOST_VALUES = 4000
LONGEST_KEY = 200
_SHORT = 200
_LONGEST_READ = 4 * MOST_BYTES
"""Longer texts are cut before they are masked, to bound the time."""

_STEPS = ((MOST_BYTES, MOST_VALUES), (16_384, 1000), (4096, 200), (1024, 100), (256, 50), (64, 20))
"""Details that are too large are cut in steps: to texts of this many characters, lists and objects of this many."""


def masked_details(details: Mapping[str, object], mask: Mask, pause: Pause) -> tuple[dict[str, object], int]:
    """The details without control characters and secrets, in keys and in values, and with at most MOST_BYTES.

    What is cut or left out is said in its place. A number that holds a secret becomes a text. details: JSON values.
    pause: called between texts. Returns the details, and by how many characters masking has shortened what was read.
    """
    reading = _Reading(mask, pause)
    read = reading.of_object(details, depth=1)
    return _fitting(read), reading.masked_away


def _fitting(read: dict[str, object]) -> dict[str, object]:
    for longest, most in _STEPS:
        shown = {key: _shortened(value, longest, most) for key, value in _first(read, most).items()}
        if size_of(shown) <= MOST_BYTES:
            return shown
    plain = {key: _shortened(value, 64, 0) for key, value in _first(read, 20).items() if _is_plain(value)}
    return {**plain, "…": f"cut: these details were larger than {MOST_BYTES // 2**10} KiB"}


def size_of(details: Mapping[str, object] | None) -> int:
    """Bytes of the details as JSON in UTF-8."""
    return 0 if details is None else len(json.dumps(details, ensure_ascii=False, separators=(",", ":")).encode())


class _Reading:
    """Copies JSON values, cleaned and masked. Stops after MOST_VALUES and _LONGEST_READ characters."""

    def __init__(self, mask: Mask, pause: Pause) -> None:
        self._mask = mask
        self._pause = pause
        self.masked_away = 0
        self._values = MOST_VALUES
        self._characters = _LONGEST_READ

    def of_object(self, given: Mapping[str, object], *, depth: int) -> dict[str, object]:
        read: dict[str, tuple[str, object]] = {}
        # What is short comes first: beside a huge text or list, there is room for it.
        for key in sorted(given, key=lambda key: not _is_short(given[key])):
            if self._is_full():
                break
            name = cut(self._text(key), LONGEST_KEY)
            read[key] = (name, self._value(given[key], depth))
        copy = dict(read[key] for key in given if key in read)
        return copy if len(read) == len(given) else {**copy, "…": _more(len(given) - len(read))}

    def _of_list(self, given: list[object], *, depth: int) -> list[object]:
        copy: list[object] = []
        for value in given:
            if self._is_full():
                copy.append(_more(len(given) - len(copy)))
                break
            copy.append(self._value(value, depth))
        return copy

    def _is_full(self) -> bool:
        return self._values <= 0 or self._characters <= 0

    def _value(self, value: object, depth: int) -> object:
        self._values -= 1
        if isinstance(value, str):
            return self._text(value)
        if not isinstance(value, Mapping | list):
            return self._plain(value)
        if depth >= DEEPEST:
            return f"… left out: nested deeper than {DEEPEST} levels"
        return (
            self.of_object(value, depth=depth + 1)
            if isinstance(value, Mapping)
            else self._of_list(value, depth=depth + 1)
        )

    def _plain(self, value: object) -> object:
        """The number, boolean or None; of a number that holds a secret, its masked text."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return value
        text = json.dumps(value)
        self._characters -= len(text)
        # In a shorter one, there is no room for a secret.
        masked = self._mask(text) if len(text) >= LEAST_CHARACTERS else text
        return value if masked == text else masked

    def _text(self, text: str) -> str:
        shown = text[: min(self._characters, _LONGEST_READ // 2)]
        self._characters -= len(shown)
        plain = without_controls(storable(shown))
        masked = self._mask(plain, pause=self._pause)
        self._pause()
        self.masked_away += max(0, len(plain) - len(masked))
        return masked if len(shown) == len(text) else f"{masked}\n… cut, {len(text) - len(shown)} characters more"


def _shortened(value: object, longest: int, most: int) -> object:
    if isinstance(value, str):
        return cut(value, longest)
    if isinstance(value, list):
        left_out = [_more(len(value) - most)] if len(value) > most else []
        return [_shortened(item, longest, most) for item in value[:most]] + left_out
    if isinstance(value, dict):
        return {key: _shortened(item, longest, most) for key, item in _first(value, most).items()}
    return value


def _first(value: Mapping[str, object], most: int) -> dict[str, object]:
    kept = dict(list(value.items())[:most])
    return kept if len(kept) == len(value) else {**kept, "…": _more(len(value) - most)}


def _more(count: int) -> str:
    return f"{count} more left out"


def _is_short(value: object) -> bool:
    return len(value) <= _SHORT if isinstance(value, str) else _is_plain(value)


def _is_plain(value: object) -> bool:
    return not isinstance(value, dict | list)
