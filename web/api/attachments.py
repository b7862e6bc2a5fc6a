"""Files of tasks: people add, read and delete them.

A file is a download, sent so that no browser runs it as a page of this instance; only pictures may be shown.
"""

from __future__ import annotations

from urllib.parse import quote

from flask import after_this_request, request
from marshmallow import fields
from werkzeug.wrappers import Response

from common.errors import Invalid
from common.services.tasks import attachments as services
from common.services.tasks.attachments import MOST_BYTES, PICTURES, NewFile, StoredFile
from common.values.states import Role
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, query, raw_body, reply, single, stored_afterwards
from web.http.fields import Schema, Text, Timestamp
from web.http.replies import Verbatim

attachments = Blueprint("attachments", __name__, url_prefix="/api")

_FORM_BYTES = 2**16
"""What a form may have beside the file."""
_OTHER = "application/octet-stream"
MEDIA_TYPES = (_OTHER, *sorted(PICTURES))
"""Of the replies with a file's content."""


class AttachmentSchema(Schema):
    """mediaType: of pictures by their content, else as the client said, or by the name."""

    id = fields.String()
    name = fields.String()
    media_type = fields.String()
    size_bytes = fields.Integer()
    added_by = fields.String()
    added_at = Timestamp()


class AttachmentsSchema(Schema):
    attachments = fields.List(fields.Nested(AttachmentSchema))


class AddAttachmentSchema(Schema):
    """name: the file's; required where the body is the file, in a form only to rename it."""

    name = Text(1000, load_default=None)


@attachments.get("/tasks/<id:task_id>/attachments")
@allow(Role.VIEWER)
@reply(AttachmentsSchema)
def list_attachments(task_id: str) -> object:
    return {"attachments": services.list_attachments(task_id, by=current_caller())}


@attachments.post("/tasks/<id:task_id>/attachments")
@allow(Role.MEMBER)
@stored_afterwards
@query(AddAttachmentSchema)
@raw_body(MOST_BYTES + _FORM_BYTES)
@reply(single("attachment", AttachmentSchema), 201)
def add_attachment(task_id: str, body: bytes, name: str | None) -> object:
    """Add a file, as `file` in a form, or as the body itself with its `name` in the query; at most 8 MiB.

    The same file again is there once. Another one of the same name gets a number in its name.
    """
    return services.add_attachment(task_id, _sent_file(body, name), by=current_caller())


@attachments.get("/tasks/<id:task_id>/attachments/<id:attachment_id>")
@allow(Role.VIEWER)
@reply(None, also=MEDIA_TYPES)
def read_attachment(task_id: str, attachment_id: str) -> Verbatim:
    """The file's content."""
    return attachment_reply(services.read_attachment(task_id, attachment_id, by=current_caller()))


@attachments.delete("/tasks/<id:task_id>/attachments/<id:attachment_id>")
@allow(Role.MEMBER)
@reply(None, 204)
def delete_attachment(task_id: str, attachment_id: str) -> None:
    services.delete_attachment(task_id, attachment_id, by=current_caller())


def attachment_reply(found: StoredFile) -> Verbatim:
    """The file as a reply. Only pictures have their own type and may be shown in place."""
    row = found.attachment
    is_picture = row.media_type in PICTURES
    media_type = row.media_type if is_picture else _OTHER
    return untrusted_file_reply(found.content, media_type, row.name, is_shown=is_picture)


def untrusted_file_reply(content: bytes, media_type: str, name: str, *, is_shown: bool) -> Verbatim:
    """A file that nobody trusts as a reply, which no browser runs as a page. is_shown: it may be shown in place."""
    ascii_name = name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_").replace("\\", "_")
    names = f"filename=\"{ascii_name}\"; filename*=UTF-8''{quote(name, safe='')}"

    @after_this_request
    def add_headers(response: Response) -> Response:
        response.headers["Content-Disposition"] = f"{'inline' if is_shown else 'attachment'}; {names}"
        response.headers["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'; sandbox"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return Verbatim(content, media_type)


def _sent_file(body: bytes, name: str | None) -> NewFile:
    if request.mimetype != "multipart/form-data":
        return NewFile(name or "", request.mimetype, body)
    unknown = sorted({*request.form, *request.files} - {"file"})
    if unknown:
        raise Invalid(unknown[0], "Unknown field")
    # A browser's form sends a nameless part where no file was chosen.
    given = [file for file in request.files.getlist("file") if file.filename]
    if len(given) != 1:
        raise Invalid("file", "Required, as a file" if not given else "Given more than once")
    (file,) = given
    return NewFile(name or file.filename or "", file.mimetype or "", file.read())
