"""The shapes of comments on a task: as they are read, and as people write them."""

from __future__ import annotations

from marshmallow import fields, validate

from common.services.conversation.messages import shown_kind
from common.services.tasks.tasks import NewComment
from common.values.names import SHA_PATTERN
from web.http.fields import Choice, Integer, Schema, Text, Timestamp, not_blank

SIDES = ("old", "new")
FARTHEST_LINE = 10_000_000
LONGEST_PATH = 1000
MOST_COMMENTS = 100
"""Comments that come with one rejection or review."""


def is_commit() -> validate.Regexp:
    return validate.Regexp(rf"^{SHA_PATTERN.pattern}\Z", error="Not a commit's 40 digits")


class PlaceSchema(Schema):
    """Where a comment stands. line: the last line that it is about; startLine: the first, null for a single line.

    side: whose lines are counted: `new` or `old`, null without a line. commitSha: the head of the diff that it was
    written on.
    """

    path = fields.String(allow_none=True)
    line = fields.Integer(allow_none=True)
    start_line = fields.Integer(allow_none=True)
    side = fields.Function(
        lambda row: None if row.line is None else row.side or "new", metadata={"enum": [*SIDES, None]}
    )
    commit_sha = fields.String(allow_none=True)


class CommentSchema(PlaceSchema):
    """kind: comment, rejection, refusal, group, message, note. deliveredAt: null until a run has received it.

    resolvedBy, resolvedAt: who marked it as settled, and when; null while it is open.
    """

    id = fields.String()
    kind = fields.Function(lambda row: shown_kind(row.kind))
    parent_id = fields.String(allow_none=True)
    author = fields.String()
    body = fields.String()
    created_at = Timestamp()
    delivered_at = Timestamp(allow_none=True)
    resolved_by = fields.String(allow_none=True)
    resolved_at = Timestamp(allow_none=True)


class WriteCommentSchema(Schema):
    """path and line: the place in the task's files; neither for a comment on the whole task.

    startLine: the first line of a range that ends at `line`. side: `old` for lines of the version before the change,
    else `new`. commitSha: the head of the diff that was looked at; left out, the task's verified commit. A fenced block
    `suggestion` in the body replaces the lines; the agent gets it as a patch.
    """

    makes = NewComment

    body = Text(10_000, required=True, validate=not_blank)
    # Names of files may hold tabs and line ends, and begin and end with spaces.
    path = Text(LONGEST_PATH, least=1, allow_none=True)
    line = Integer(1, FARTHEST_LINE, allow_none=True)
    start_line = Integer(1, FARTHEST_LINE, allow_none=True)
    side = Choice(SIDES, allow_none=True)
    commit_sha = fields.String(allow_none=True, validate=is_commit())
