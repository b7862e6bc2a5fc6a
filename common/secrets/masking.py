"""Replaces secrets by `***` before a text is stored, shown or sent on.

A `Mask` finds exact values (also in base64, URL-encoded or escaped as in JSON, each line of a value with several lines,
and values that are split between two texts), and keys with a known format (`key_formats`). It does not guess by
entropy, so commit SHAs, ids and digests stay readable. Masking twice has the same effect as masking once. It does not
find values shorter than LEAST_CHARACTERS without their variable's name, or secrets in another encoding.
"""

from __future__ import annotations

import base64
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from urllib.parse import quote, quote_plus

from common.secrets.key_formats import find_keys, needed_in

MASK = "***"
IN_KEY = "*** (private key)"
"""Replaces a line of a private key that continues in the next line."""

LEAST_CHARACTERS = 8
"""Shorter values occur by chance in too many texts."""

MARGIN = 16_000
"""So many characters after the end of what is wanted are searched, too. No key of a known format should be longer."""

_AT_ONCE = 2**16
"""About so many characters are searched without a pause."""

_FEW = 100
"""Up to this many prefixes, searching for each is faster than checking every position of the text."""

_WRAPPED_AT = (64, 76)
"""Line lengths of openssl and base64."""

PRIVATE_KEY_BEGINS = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-\d")
PRIVATE_KEY_ENDS = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|Private-MAC: *[0-9a-f]*")
_KEY_LINE = re.compile(
    r"[A-Za-z0-9+/=]*[\"'\\,;]{0,3}"  # nothing but base64, or nothing at all
    r"|(?:Proc-Type|DEK-Info|Version|Comment|Hash|Charset|Encryption|(?:Public|Private)-Lines|Key-Derivation"
    r"|Argon2-[A-Za-z]{4,12}): .*"
)
_KEY_TAIL = re.compile(r"(?:[A-Za-z0-9+/]{40}={0,2}|[A-Za-z0-9+/]{2}={1,2})[\"'\\,;]{0,3}\Z")
"""The end of a line of a key, which may have a logger's prefix."""

_KEY_LAST = re.compile(r"(?:\A|\s)[A-Za-z0-9+/]{1,76}={0,2}[\"'\\,;]{0,3}\s*\Z")
"""The last line of a key. It may be as short as a word, so it counts only directly before the key's end marker."""

_MARKS = ("eyJ", "PRIVATE KEY", "PuTTY-User-Key")
"""Each key of a known format that has no pattern in `key_formats` contains one of these."""

_MASKED = re.compile(r"\*{3,}")

Span = tuple[int, int]
Pause = Callable[[], object]


def go_on() -> None:
    """The pause of callers that want none."""


class Mask:
    """Masks the values that it was made with, and keys of a known format. It keeps the values in memory."""

    def __init__(self, values: Iterable[str] = (), assigned: Mapping[str, str] | None = None) -> None:
        """values: secrets; those shorter than LEAST_CHARACTERS are ignored.

        assigned: variables whose values, of any length, are masked in `NAME=value`.
        """
        needles = {needle: 0 for value in values for needle in _forms(value)}
        for name, value in (assigned or {}).items():
            if value:
                needles.setdefault(f"{name}={value.splitlines()[0] if value.strip() else value}", len(name) + 1)
        self._index: dict[str, list[tuple[str, int]]] = {}
        for needle, kept in sorted(needles.items(), key=lambda item: -len(item[0])):
            if len(needle) >= LEAST_CHARACTERS:
                self._index.setdefault(needle[:LEAST_CHARACTERS], []).append((needle, kept))

    def __repr__(self) -> str:
        return f"Mask({len(self._index)} forms)"

    def __call__(self, text: str, *, pause: Pause = go_on) -> str:
        """The text with every secret in it replaced by MASK. pause: see `lines`."""
        if not self._index and not any(mark in text for mark in _MARKS) and not needed_in(text):
            return text
        return "\n".join(self.lines(text.split("\n"), pause=pause))

    def end_of(self, text: str) -> str:
        """Like a call, for the end of a longer text, which may begin in the middle of a secret."""
        return "\n".join(self.lines(text.split("\n"), after=""))

    def beginning(self, text: str, longest: int, *, pause: Pause = go_on) -> tuple[str, int]:
        """Mask a text of which about `longest` characters are wanted, without searching all of a far longer one.

        Returns the masked text and the number of characters that were left out after it. A text up to MARGIN longer
        than `longest` is masked whole: nothing is left out. Of a longer one, the first `longest` characters are masked,
        also where a secret begins in them and ends behind. pause: see `lines`.
        """
        found = _without_private_keys(text.split("\n"), is_inside=False, pause=pause)
        whole = "\n".join(found)
        if len(whole) <= longest + MARGIN:
            return "\n".join(_cut_out(found, self._spans(found, pause=pause))), 0
        lines, wanted = whole[: longest + MARGIN].split("\n"), whole[:longest].split("\n")
        last = len(wanted) - 1
        parts = [*wanted, lines[last][len(wanted[last]) :], *lines[last + 1 :]]
        shown = _cut_out(parts, self._spans(lines, pause=pause))[: last + 1]
        return "\n".join(shown), len(whole) - longest

    def beginnings(
        self, lines: Sequence[str], longest: int, *, after: str | None = None, pause: Pause = go_on
    ) -> list[tuple[str, int]]:
        """As `beginning`, for each of the lines, with `after` as in `lines`. Private keys and values that are split
        between two lines are found wherever they stand; only keys of a known format are not searched in the rest."""
        found = _without_private_keys(lines, is_inside=(after or "").endswith(IN_KEY), pause=pause)
        spans = self._spans(found, goes_on=after is not None, longest=longest + MARGIN, pause=pause)
        parts: list[str] = []
        firsts: list[tuple[int, int]] = []
        for line in found:
            is_cut = len(line) > longest + MARGIN
            firsts.append((len(parts), len(line) - longest if is_cut else 0))
            parts += [line[:longest], line[longest:]] if is_cut else [line]
        shown = _cut_out(parts, spans)
        return [(shown[first], left_out) for first, left_out in firsts]

    def lines(self, lines: Sequence[str], *, after: str | None = None, pause: Pause = go_on) -> list[str]:
        """Mask the lines; their number stays the same. Secrets that are split between two lines are found, too.

        after: the masked line before these, if they continue a stream; None if they begin one. A part of a secret at
        either end of the lines is masked if it has at least LEAST_CHARACTERS. pause: called now and then during long
        work, for callers who let others go on meanwhile.
        """
        found = _without_private_keys(lines, is_inside=(after or "").endswith(IN_KEY), pause=pause)
        return _cut_out(found, self._spans(found, goes_on=after is not None, pause=pause))

    def _spans(
        self, lines: Sequence[str], *, goes_on: bool = False, longest: int | None = None, pause: Pause = go_on
    ) -> list[Span]:
        """The positions of secrets in the joined lines. longest: keys are searched in so many characters of a line."""
        spans = list(self._known("".join(lines), goes_on=goes_on, pause=pause))
        starts = list(accumulate(map(len, lines), initial=0))
        for first, last in _groups(lines):
            searched = [line[:longest] for line in lines[first:last]]
            text = "\n".join(searched)
            pause()
            patterns = needed_in(text)
            if patterns or "eyJ" in text:
                for start, line in zip(starts[first:last], searched, strict=True):
                    spans += ((start + begin, start + end) for begin, end in find_keys(line, patterns))
                    pause()
        return spans

    def places(self, lines: Sequence[str]) -> list[tuple[int, int]]:
        """The first and the last line, counted from 0, of each place where a value stands, whole, in the lines."""
        starts = list(accumulate(map(len, lines), initial=0))
        # What follows the text is no part of a value.
        spans = self._known("".join(lines) + "\n", goes_on=False)
        found = {(bisect_right(starts, begin) - 1, bisect_left(starts, end) - 1) for begin, end in spans}
        return sorted(found)

    def _known(self, text: str, *, goes_on: bool, pause: Pause = go_on) -> Iterator[Span]:
        """The positions of exact values."""
        index, length = self._index, len(text)
        if not index:
            return
        if goes_on and (begun := self._goes_on(text)):
            yield 0, begun
        for at in self._starts(text, pause):
            for needle, kept in index[text[at : at + LEAST_CHARACTERS]]:
                if text.startswith(needle, at):
                    yield at + kept, at + len(needle)
                    break
                if length - at < len(needle) and needle.startswith(text[at:]):
                    yield min(at + kept, length), length
                    break

    def _starts(self, text: str, pause: Pause) -> list[int]:
        """The positions where any value could begin, unordered."""
        index, size = self._index, LEAST_CHARACTERS
        found: list[int] = []
        if len(index) > _FEW:
            end = len(text) - size + 1
            for first in range(0, end, _AT_ONCE):
                pause()
                found += [at for at in range(first, min(first + _AT_ONCE, end)) if text[at : at + size] in index]
            return found
        for beginning in index:
            pause()
            at = text.find(beginning)
            while at >= 0:
                found.append(at)
                at = text.find(beginning, at + 1)
        return found

    def _goes_on(self, text: str) -> int:
        """The number of characters at the text's start that are the rest of a secret whose start was cut off."""
        head = text[:LEAST_CHARACTERS]
        if len(head) < LEAST_CHARACTERS:
            return 0
        longest = 0
        for needles in self._index.values():
            for needle, kept in needles:
                at = -1 if kept else needle.find(head, 1)
                while at > 0:
                    if text.startswith(needle[at:]):
                        longest = max(longest, len(needle) - at)
                        break
                    at = needle.find(head, at + 1)
        return longest


KNOWN_FORMATS = Mask()
"""Masks only keys of a known format: for texts that belong to no project."""


def without_plain_words(variables: Mapping[str, str]) -> list[str]:
    """The values that are masked even without their variable's name: all but those of letters alone.

    A plain word (`NODE_ENV=production`) in a variable that is not declared secret gives nothing away, and masking it
    would remove the word from every log.
    """
    return [value for value in variables.values() if not value.isalpha()]


def is_same_when_masked(masked: str, original: str) -> bool:
    """Whether masking `original` may have given `masked`: they are equal except where `masked` has MASK."""
    if MASK not in masked:
        return masked == original
    first, *middle, last = _MASKED.split(masked.replace(IN_KEY, MASK))
    if not original.startswith(first) or not original.endswith(last) or len(original) < len(first) + len(last):
        return False
    at, end = len(first), len(original) - len(last)
    for piece in middle:
        at = original.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True


def _forms(value: str) -> set[str]:
    """All encodings of the value that are searched for."""
    if len(value) < LEAST_CHARACTERS:
        return set()
    forms = _base64_forms(value.encode("utf-8", "surrogatepass"))
    lines = [line.strip() for line in value.splitlines()] if len(value.splitlines()) > 1 else []
    for text in (value, *(line for line in lines if len(line) >= LEAST_CHARACTERS)):
        quoted = [
            quote(text, safe="", errors="replace"),
            quote(text, errors="replace"),
            quote_plus(text, errors="replace"),
        ]
        forms |= {text, text.strip(), *quoted, *(_lower_escapes(one) for one in quoted)}
        forms |= {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1]}
    return {form for form in forms if len(form) >= LEAST_CHARACTERS}


def _lower_escapes(quoted: str) -> str:
    return re.sub(r"%[0-9A-F]{2}", lambda escape: escape[0].lower(), quoted)


def _base64_forms(value: bytes) -> set[str]:
    """The value in base64, in both alphabets: at each of the three alignments, without the characters that depend on
    neighbouring bytes, and each line of the wrapped form.
    """
    forms = set()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):
            bits = (shift + len(value)) * 8
            whole = encode(b"\0" * shift + value).decode()
            forms.add(whole[-(-shift * 8 // 6) : bits // 6])
        whole = encode(value).decode()
        for width in _WRAPPED_AT:
            rows = [whole[at : at + width] for at in range(0, len(whole), width)]
            if len(rows) > 1:
                forms |= {*rows[:-1], rows[-1][:-4]}
    return forms


class _Markers:
    """The matches of a pattern in one line. Searches no part of the line twice, so that all calls together take time
    linear in the line's length."""

    def __init__(self, pattern: re.Pattern[str], line: str) -> None:
        self._pattern = pattern
        self._line = line
        self._found = pattern.search(line)

    def first_from(self, at: int) -> re.Match[str] | None:
        """The first match that begins at this position or later. at: not before that of the last call."""
        if self._found is not None and self._found.start() < at:
            self._found = self._pattern.search(self._line, at)
        return self._found


def _groups(lines: Sequence[str]) -> Iterator[Span]:
    """Parts of the lines, as (first, last + 1), with about _AT_ONCE characters each or a single longer line."""
    first = size = 0
    for number, line in enumerate(lines):
        if size and size + len(line) > _AT_ONCE:
            yield first, number
            first, size = number, 0
        size += len(line) + 1
    if first < len(lines):
        yield first, len(lines)


def _without_private_keys(lines: Sequence[str], *, is_inside: bool, pause: Pause) -> list[str]:
    """Mask private keys in the formats of PEM, OpenSSH, PGP and PuTTY. is_inside: the lines begin within a key."""
    if not is_inside and not any("PRIVATE KEY" in line or "PuTTY-User-Key" in line for line in lines):
        return list(lines)
    masked: list[str] = []
    for line in lines:
        pause()
        shown, is_inside = _without_keys_of_line(line, masked, is_inside=is_inside)
        masked.append(shown)
    return masked


def _without_keys_of_line(line: str, before: list[str], *, is_inside: bool) -> tuple[str, bool]:
    """The masked line, and whether the next line begins within a key. before: the masked lines before it, of which
    those are masked that turn out to be of a key."""
    begins, ends = _Markers(PRIVATE_KEY_BEGINS, line), _Markers(PRIVATE_KEY_ENDS, line)
    shown: list[str] = []
    at, text_end = 0, len(line.rstrip())
    has_masked_before = False
    while True:
        if is_inside:
            end = ends.first_from(at)
            if end is None:
                is_inside = bool(shown) or _is_of_key(line)
                shown.append(IN_KEY if is_inside else line)
                break
            shown, at, is_inside = shown or [MASK], end.end(), False
        begin, end = begins.first_from(at), ends.first_from(at)
        if end is not None and (begin is None or end.start() < begin.start()):
            # The key's beginning was cut off: the lines before its end marker are its body.
            if not has_masked_before:
                _mask_body_before(before)
                has_masked_before = True
            shown.append(MASK)
            at = end.end()
        elif begin is not None:
            shown.append(line[at : begin.start()])
            at, is_inside = begin.end(), True
            if at >= text_end:
                shown.append(IN_KEY)
                break
            shown.append(MASK)
        else:
            shown.append(line[at:])
            break
    return "".join(shown), is_inside


def _is_of_key(line: str) -> bool:
    stripped = line.strip()
    return bool(_KEY_LINE.fullmatch(stripped) or _KEY_TAIL.search(stripped[-80:]))


def _mask_body_before(masked: list[str]) -> None:
    last = len(masked) - 1
    for at in range(last, -1, -1):
        is_body = _is_of_key(masked[at]) or (at == last and _KEY_LAST.search(masked[at]) is not None)
        if not masked[at].strip() or not is_body:
            return
        masked[at] = MASK


def _cut_out(lines: Sequence[str], spans: Iterable[Span]) -> list[str]:
    """Replace each span of the joined lines by MASK. A span over several lines leaves its MASK in the first of them."""
    starts = accumulate(map(len, lines), initial=0)
    merged: list[list[int]] = []
    for begin, end in sorted(span for span in spans if span[0] < span[1]):
        if merged and begin <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([begin, end])
    masked, first = [], 0
    for start, line in zip(starts, lines, strict=False):
        stop, at, shown = start + len(line), start, []
        while first < len(merged) and merged[first][1] <= start:
            first += 1
        for number in range(first, len(merged)):
            begin, end = merged[number]
            if begin >= stop:
                break
            if begin >= start:
                shown += [line[at - start : begin - start], MASK]
            at = min(end, stop)
        shown.append(line[at - start :])
        masked.append("".join(shown))
    return masked
