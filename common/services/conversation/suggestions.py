"""Changes that a reviewer suggests in a comment: fenced blocks tagged `suggestion`, as on forges.

In a prompt each becomes a marker, which the runner replaces by a patch: only the clone has the lines.
"""

from __future__ import annotations

import re

from common.values.runs.claimed_run import FeedbackComment
from common.values.runs.prompt_markers import Suggestion, suggestion_marker

OLD_SIDE = "old"
_FENCE = re.compile(r" {0,3}(?P<fence>`{3,}|~{3,})(?P<tag>[^`]*)")


def with_suggestions(body: str, comment: FeedbackComment | None) -> str:
    """The text of a comment with a marker in place of each suggestion.

    Unchanged if the comment stands on no line of the new version (None: on none at all), and for a block without an
    end. Read line by line: a regular expression over the whole text takes minutes on some hostile texts.
    """
    if comment is None or comment.path is None or comment.line is None or comment.side == OLD_SIDE:
        return body
    told: list[str] = []
    fence, opened = "", 0
    for line in body.replace("\r\n", "\n").split("\n"):
        told.append(line)
        match = _FENCE.fullmatch(line)
        if match is None:
            continue
        if not fence:
            fence, opened = match["fence"], len(told)
        elif match["fence"].startswith(fence) and not match["tag"].strip():
            fence = ""
            if _is_suggestion(told[opened - 1]):
                text = "".join(f"{each}\n" for each in told[opened:-1])
                told[opened - 1 :] = [suggestion_marker(_suggestion(comment.path, comment.line, comment, text))]
    return "\n".join(told)


def _suggestion(path: str, line: int, comment: FeedbackComment, text: str) -> Suggestion:
    return Suggestion(path, comment.start_line or line, line, text, comment.commit_sha)


def _is_suggestion(line: str) -> bool:
    match = _FENCE.fullmatch(line)
    return match is not None and match["tag"].split()[:1] == ["suggestion"]
