"""Reviews of a task's change: the caller's draft, its submission, and the files that the diff shows a part of."""

from __future__ import annotations

from marshmallow import fields

from common.errors import Invalid
from common.services.review import reviews as services
from common.services.review.reviews import NewReview, Verdict
from common.services.tasks.tasks import NewComment, read_task
from common.values.states import Role
from web.api.comments import FARTHEST_LINE, LONGEST_PATH, CommentSchema, PlaceSchema, WriteCommentSchema, is_commit
from web.api.diffs import FileLinesSchema, read_lines
from web.api.tasks import WrittenTaskSchema
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, QueryInteger, body, query, reply, single
from web.http.fields import Boolean, Choice, Schema, Text, Timestamp, not_blank

reviews = Blueprint("reviews", __name__, url_prefix="/api")


class PendingCommentSchema(PlaceSchema):
    """A comment that only its author sees until the review is submitted."""

    id = fields.String()
    body = fields.String()
    created_at = Timestamp()
    updated_at = Timestamp()


class DraftReviewSchema(Schema):
    comments = fields.List(fields.Nested(PendingCommentSchema))


class ReviewSchema(Schema):
    review = fields.Nested(DraftReviewSchema)


class ChangePendingCommentSchema(Schema):
    body = Text(10_000, required=True, validate=not_blank)


class ResolveCommentSchema(Schema):
    """resolved: false opens the comment again."""

    resolved = Boolean(required=True)


class SubmitReviewSchema(Schema):
    """verdict: `comment` changes no state; `approve` and `reject` are those of the task, with their rights and rules.

    body: what is said in general; required for a rejection, and for a comment without comments on lines. commitSha: the
    reviewed commit: an approval or rejection is a 409 if the task is at another one by now.
    """

    makes = NewReview

    verdict = Choice(Verdict, required=True)
    body = Text(10_000, load_default="")
    commit_sha = fields.String(load_default=None, allow_none=True, validate=is_commit())


class ReadLinesSchema(Schema):
    """path: required, of the file at the commit. commitSha: left out, the verified commit, else the branch's head.

    firstLine, lastLine: counted from 1; at most 2,000 lines come.
    """

    path = Text(LONGEST_PATH, least=1, load_default=None)
    commit_sha = fields.String(load_default=None, validate=is_commit())
    first_line = QueryInteger(1, FARTHEST_LINE, load_default=1)
    last_line = QueryInteger(1, FARTHEST_LINE, load_default=FARTHEST_LINE)


@reviews.get("/tasks/<id:task_id>/review")
@allow(Role.MEMBER)
@reply(ReviewSchema)
def read_review(task_id: str) -> object:
    """The caller's draft of a review; without comments if there is none."""
    return {"review": {"comments": services.read_review(task_id, by=current_caller())}}


@reviews.post("/tasks/<id:task_id>/review/comments")
@allow(Role.MEMBER)
@body(WriteCommentSchema)
@reply(single("comment", PendingCommentSchema), 201)
def add_to_review(task_id: str, body: NewComment) -> object:
    """Add a comment to the caller's draft. Nobody else sees it until the review is submitted; at most 100."""
    return services.add_to_review(task_id, body, by=current_caller())


@reviews.patch("/tasks/<id:task_id>/review/comments/<id:comment_id>")
@allow(Role.MEMBER)
@body(ChangePendingCommentSchema)
@reply(single("comment", PendingCommentSchema))
def change_in_review(task_id: str, comment_id: str, body: str) -> object:
    """Change the text of a comment of the caller's draft."""
    return services.change_in_review(task_id, comment_id, body, by=current_caller())


@reviews.delete("/tasks/<id:task_id>/review/comments/<id:comment_id>")
@allow(Role.MEMBER)
@reply(None, 204)
def remove_from_review(task_id: str, comment_id: str) -> None:
    """Remove a comment from the caller's draft."""
    services.remove_from_review(task_id, comment_id, by=current_caller())


@reviews.delete("/tasks/<id:task_id>/review")
@allow(Role.MEMBER)
@reply(None, 204)
def discard_review(task_id: str) -> None:
    """Throw the caller's draft away."""
    services.discard_review(task_id, by=current_caller())


@reviews.post("/tasks/<id:task_id>/review/submit")
@allow(Role.MEMBER)
@body(SubmitReviewSchema)
@reply(single("task", WrittenTaskSchema))
def submit_review(task_id: str, body: NewReview) -> object:
    """Submit the caller's draft with a verdict: its comments become visible, and the agent's next run gets them.

    Approving and rejecting need the role maintainer.
    """
    return services.submit_review(task_id, body, by=current_caller())


@reviews.patch("/tasks/<id:task_id>/comments/<id:comment_id>")
@allow(Role.MEMBER)
@body(ResolveCommentSchema)
@reply(single("comment", CommentSchema))
def resolve_comment(task_id: str, comment_id: str, resolved: bool) -> object:
    """Mark a comment as settled, or open it again. The agent is not given one that is resolved before its next run."""
    return services.resolve_comment(task_id, comment_id, resolved, by=current_caller())


@reviews.get("/tasks/<id:task_id>/file")
@allow(Role.VIEWER)
@query(ReadLinesSchema)
@reply(FileLinesSchema)
def read_file(task_id: str, path: str | None, commit_sha: str | None, first_line: int, last_line: int) -> object:
    """Lines of a text file at a commit of the task's diff or before it, such as those between two parts of the diff."""
    view = read_task(task_id, by=current_caller())
    if path is None:
        # Not before: who may not see the task is told nothing else.
        raise Invalid("path", "Required")
    return read_lines(view, path, commit_sha, first_line, last_line)
