"""Pictures of a task's preview: read only, as the platform takes them."""

from __future__ import annotations

from marshmallow import fields

from common.services.changes import preview_pictures as services
from common.values.states import Role
from web.api.attachments import untrusted_file_reply
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, reply
from web.http.fields import Schema, Timestamp
from web.http.replies import Verbatim

preview_pictures = Blueprint("preview_pictures", __name__, url_prefix="/api")


class PreviewPictureSchema(Schema):
    """kind: `after` shows the preview, `before` what people use without the change. commitSha: the task's commit, which
    the picture belongs to; picturedSha: the one that was running. problem: why there is no picture, which has no bytes
    then; null if there is one.
    """

    id = fields.String()
    kind = fields.String(metadata={"enum": [services.BEFORE, services.AFTER]})
    commit_sha = fields.String()
    pictured_sha = fields.String()
    width = fields.Integer()
    height = fields.Integer()
    size_bytes = fields.Integer()
    problem = fields.String(allow_none=True)
    taken_at = Timestamp()


@preview_pictures.get("/tasks/<id:task_id>/pictures/<id:picture_id>")
@allow(Role.VIEWER)
@reply(None, also=("image/png",))
def read_picture(task_id: str, picture_id: str) -> Verbatim:
    """The picture, a PNG."""
    found = services.read_picture(task_id, picture_id, by=current_caller())
    return untrusted_file_reply(found.content, "image/png", f"{found.picture.kind}.png", is_shown=True)
