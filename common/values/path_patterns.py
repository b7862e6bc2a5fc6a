"""Forbidden paths: a project's patterns for paths that agents may not change, by gitignore's rules (pathspec).

Two rules go beyond gitignore's, because nothing may appear below a forbidden path: a pattern for a directory (`ci/**`,
`ci/*`, `ci/`) also covers a file or link of that name, and a link or submodule is covered if a pattern matches paths
below it (`src/**/keys` and a link at `src/x`). A pattern without effect is refused when it is set, never ignored.
Matching is case-sensitive, as in git's trees.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from common.machine.lazy_modules import lazy_module

if TYPE_CHECKING:
    import pathspec
else:
    pathspec = lazy_module("pathspec")

# Matching takes time polynomial in the path's length (up to 4,096), with these as exponents, and agents choose paths.
_MOST_STARS, _MOST_DOUBLE_STARS = 3, 2
_DIRECTORY_TAILS = ("/**", "/*", "/")
_BRACKET = re.compile(r"(?<!\\)\[[!^]?(\]?[^\[\]\\/]*)\]")


class PathPatterns:
    """All patterns of a project together. Raises ValueError for a pattern without effect."""

    def __init__(self, patterns: Sequence[str]) -> None:
        for pattern in patterns:
            reason = _why_no_effect(pattern)
            if reason is not None:
                raise ValueError(f"the pattern {pattern!r} has no effect: {reason}")
        links = [line for pattern in patterns for line in _above(pattern)]
        self._covered = pathspec.GitIgnoreSpec.from_lines(
            [*patterns, *(line for pattern in patterns for line in _name(pattern))]
        )
        self._links = pathspec.GitIgnoreSpec.from_lines(line for line in links if not line.endswith("/**"))
        self._links_below = pathspec.GitIgnoreSpec.from_lines(line for line in links if line.endswith("/**"))

    def covers(self, path: str, *, leads_elsewhere: bool = False) -> bool:
        """Whether this leaf of a tree is forbidden. leads_elsewhere: it is a symbolic link or a submodule."""
        # A dot in pathspec's expressions matches no line feed, which a name in git may contain.
        path = path.replace("\n", "\ufffd")
        if self._covered.match_file(path):
            return True
        return leads_elsewhere and (self._links_below.match_file(path) or _is_exactly(self._links, path))


def why_refused(pattern: str) -> str | None:
    """Why a new pattern is refused, as a sentence for its author; None if it is accepted."""
    segments = pattern.split("/")
    if any(segment not in {"*", "**"} and segment.count("*") > _MOST_STARS for segment in segments):
        return f"Has more than {_MOST_STARS} stars in one part, which takes too long to match"
    if segments[:-1].count("**") > _MOST_DOUBLE_STARS:
        return f"Has more than {_MOST_DOUBLE_STARS} parts that are ** before the last, which takes too long to match"
    return _why_no_effect(pattern)


def _why_no_effect(pattern: str) -> str | None:
    """Why this pattern would protect nothing, or not the intended paths; None if it is fine."""
    for is_wrong, reason in (
        (not pattern.strip("/ "), "Names no path"),
        (not pattern.isprintable(), "Contains an invisible character"),
        (pattern.startswith("#"), "Is a comment and forbids nothing; write \\# for a name that starts with #"),
        (pattern.startswith("!"), "Is an exception and forbids nothing; write \\! for a name that starts with !"),
        (pattern.endswith(" "), "Ends with a space, which gitignore ignores; write [ ] for it"),
    ):
        if is_wrong:
            return reason
    return _why_no_match(pattern)


def _why_no_match(pattern: str) -> str | None:
    segments = pattern.removeprefix("/").removesuffix("/").split("/")
    if any(segment in {"", ".", ".."} for segment in segments):
        return "Matches no path of a repository: it has an empty part, . or .."
    if "***" in pattern:
        return "Has three stars in a row; write * or **"
    if pattern.replace("\\\\", "").endswith("\\") or "\\/" in pattern.replace("\\\\", ""):
        return "Has a backslash with nothing after it"
    # Outside of complete brackets, every [ must be escaped.
    if re.search(r"(?<!\\)\[", _BRACKET.sub("", pattern.replace("\\\\", ""))):
        return "Has a [ without its ]; write \\[ for a name that contains one"
    try:
        compiled = pathspec.GitIgnoreSpec.from_lines([pattern]).patterns
    except (ValueError, re.error):
        compiled = []
    if len(compiled) != 1 or compiled[0].include is not True or compiled[0].regex is None:
        return "Is not a valid gitignore pattern"
    return None


def _is_exactly(spec: pathspec.GitIgnoreSpec, path: str) -> bool:
    """Whether the pattern matches the path itself, not only a directory above it."""
    parent = path.rpartition("/")[0]
    return spec.match_file(path) and not (parent and spec.match_file(parent))


def _name(pattern: str) -> list[str]:
    """For a pattern that covers a directory: a pattern for a file or link of the same name. Else none."""
    stem = _stem(pattern)
    if stem == pattern or stem.rpartition("/")[2] in {"", "*", "**"}:
        return []
    return [_anchored(stem) if "/" in pattern[:-1] else stem]


def _stem(pattern: str) -> str:
    for tail in _DIRECTORY_TAILS:
        if pattern.endswith(tail):
            return _stem(pattern.removesuffix(tail))
    return pattern


def _above(pattern: str) -> list[str]:
    """Patterns for the directories above the paths that the pattern names; none for a pattern of any depth (`**/x`).

    Such a pattern matches a file at its own path, even if a link makes it appear elsewhere.
    """
    parts = pattern.removeprefix("/").removesuffix("/").split("/")
    heads = (parts[:count] for count in range(1, len(parts)))
    return [_anchored("/".join(head)) for head in heads if set(head) != {"**"}]


def _anchored(pattern: str) -> str:
    return "/" + pattern.removeprefix("/")


@functools.lru_cache(maxsize=256)
def compiled(patterns: tuple[str, ...]) -> PathPatterns:
    """The patterns, compiled once in each process."""
    return PathPatterns(patterns)
