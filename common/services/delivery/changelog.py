"""The changelog of a release as Markdown, made from its tasks: their titles, labels and pull requests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

SECTIONS = (
    ("Added", frozenset({"feature", "enhancement", "new"})),
    ("Changed", frozenset[str]()),
    ("Fixed", frozenset({"fix", "bug", "bugfix"})),
    ("Reverted", frozenset({"revert"})),
    ("Security", frozenset({"security"})),
    ("Documentation", frozenset({"docs", "documentation"})),
)
"""Headings in their order, each with the labels that lead there. Tasks with none of these labels are `Changed`."""
_OTHERS = "Changed"
_MARKUP = re.compile(r"([\\`*_\[\]<>#|~])")


@dataclass(frozen=True)
class Entry:
    """One delivered task. number, url: of its pull request; None if it has none."""

    title: str
    labels: Sequence[str] = ()
    number: int | None = None
    url: str | None = None


def write_changelog(heading: str, notes: str | None, entries: Sequence[Entry]) -> str:
    """Markdown that ends with a newline. notes: Markdown of a person, taken as it is."""
    parts = [f"## {_plain(heading)}"]
    if notes and notes.strip():
        parts.append(notes.strip())
    for section, labels in SECTIONS:
        lines = [_line(entry, labels) for entry in entries if _section_of(entry) == section]
        if lines:
            parts.append(f"### {section}\n\n" + "\n".join(lines))
    if not entries:
        parts.append("Nothing is in it.")
    return "\n\n".join(parts) + "\n"


def _section_of(entry: Entry) -> str:
    named = {label.lower() for label in entry.labels}
    # A security fix is looked for under its own heading, and a revert is no fix of its own.
    by_weight = sorted(SECTIONS, key=lambda section: section[0] not in {"Security", "Reverted", "Fixed"})
    return next((section for section, labels in by_weight if labels & named), _OTHERS)


def _line(entry: Entry, said_by_heading: frozenset[str]) -> str:
    about = []
    if entry.number is not None:
        is_web = entry.url is not None and re.match(r"https?://", entry.url)
        about.append(
            f"[#{entry.number}]({quote(entry.url or '', safe=':/?&=%@+,;~-._')})" if is_web else f"#{entry.number}"
        )
    about += [_plain(label) for label in entry.labels if label.lower() not in said_by_heading]
    return f"- {_plain(entry.title)}" + (f" ({', '.join(about)})" if about else "")


def _plain(text: str) -> str:
    """The text on one line, with nothing in it that Markdown would read as markup."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
