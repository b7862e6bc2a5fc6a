"""The messages of the commits that a run makes."""

from __future__ import annotations

from common.machine.text import storable
from common.values.runs.claimed_run import ClaimedTask
from workers.runner.transcript.reports import shortened

_LONGEST_TITLE = 120
_LONGEST_SUMMARY = 16_000
"""Most characters of a summary in a commit's message."""


def title_of(task: ClaimedTask) -> str:
    """The first line, made from the task's title."""
    return " ".join(task.title.split())[:_LONGEST_TITLE] or "Untitled task"


def message_of(title: str, summary: str, trailers: str) -> str:
    """The whole message; a part that is empty is left out. Git takes neither NUL nor lone surrogates, so they are
    removed or replaced.
    """
    body = shortened(storable(summary).strip(), _LONGEST_SUMMARY)
    return "\n\n".join(part for part in (title, body, trailers) if part) + "\n"
