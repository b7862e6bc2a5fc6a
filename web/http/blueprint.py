"""The decorators of a view: what it reads, what it replies, and how a request is carried through.

    tasks = Blueprint("tasks", __name__, url_prefix="/api")

    class CreateTaskSchema(Schema):                      # `CreateTask` in openapi.json
        makes = NewTask                                  # loading returns NewTask(project_id=…, title=…, …)
        read_only = frozenset({"id", "state"})           # 400 `Read-only field` instead of `Unknown field`
        project_id = Id(required=True)                   # `projectId` in JSON
        title = Line(200, required=True)
        priority = Label(Priority)

    class TaskSchema(Schema):
        id = fields.String()
        created_at = Timestamp()

    @tasks.post("/tasks")
    @allow(Role.MEMBER)
    @body(CreateTaskSchema)                              # a schema that makes a value: the view gets it as `body`
    @reply(single("task", TaskSchema), 201)              # {"task": {…}}, read from what the view returns
    def create_task(body: NewTask) -> object:
        return services.create_task(body, by=current_caller())

    class ListTasksSchema(PagingSchema):                 # limit, offset, cursor become `page`
        state = Choice(TaskState, load_default=None)

    @tasks.get("/tasks")
    @allow(Role.VIEWER)
    @query(ListTasksSchema)                              # any other schema: its fields are the view's parameters
    @reply(page_of("tasks", TaskSchema))                 # read from a Page
    def list_tasks(page: PageQuery, state: str | None) -> object:
        return services.list_tasks(page, state=state, by=current_caller())

    @tasks.post("/tasks/<id:task_id>/approve")           # also <agent_id:…>, <question_id:…>; malformed: 404
    @allow(Role.MAINTAINER)
    @reply(single("task", TaskSchema))
    def approve_task(task_id: str) -> object: ...

A field that was not sent and has no load_default is not passed, so a PATCH gets only what was sent. A view returns what
the schema of its @reply reads, an object or a dict; `(value, status)` for another status; Verbatim (in replies.py) for
content that is stored as it is sent. `@reply(None, 204)` replies without a body. A view without `@body` accepts no body
but `{}`; `@raw_body(most_bytes)` passes it as bytes. `@read_before(read)` reads from a provider before the view runs.
Idempotency-Key (web/http/idempotency.py) works on every POST unless the view is marked `@never_replayed`. With a key,
a person's view runs in one transaction, so it may do nothing but call services; if it does more, it is marked
`@stored_afterwards`. Errors are raised (common.errors), never returned. Fields are in web/http/fields.py; in queries
use QueryInteger.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeVar, Unpack, cast

import flask_smorest
import marshmallow as ma
from flask import Response, g, request
from marshmallow import fields
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.routing import BaseConverter

from common.services.requests.paging import DEFAULT_LIMIT, MOST, PageQuery
from web.http.errors import Fault, Faults, UnsupportedMedia, faults_of
from web.http.fields import (
    AGENT_ID_PATTERN,
    QUESTION_ID_PATTERN,
    UUID_PATTERN,
    AnyField,
    FieldOptions,
    Integer,
    NoFields,
    Schema,
    WholeObject,
)
from web.http.json_strict import JsonObject, check_text, parse_object
from web.http.replies import respond, with_tag, writer_of
from web.http.sparse_schema import SparseSchema

View = TypeVar("View", bound=Callable[..., object])

_Description = dict[str, Any]
"""flask-smorest's description of a part of a view, as it goes into openapi.json."""

FARTHEST_OFFSET = 2**31
LARGEST_INTEGER = 2**63 - 1
"""The largest whole number that the databases compare with a column."""
_DIGITS = re.compile(r"[0-9]+")


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A resource's routes, described at /api/openapi.json."""

    def get(self, path: str) -> Callable[[View], View]:
        return self._at(path, "GET")

    def post(self, path: str) -> Callable[[View], View]:
        return self._at(path, "POST")

    def put(self, path: str) -> Callable[[View], View]:
        return self._at(path, "PUT")

    def patch(self, path: str) -> Callable[[View], View]:
        return self._at(path, "PATCH")

    def delete(self, path: str) -> Callable[[View], View]:
        return self._at(path, "DELETE")

    def _at(self, path: str, method: str) -> Callable[[View], View]:
        def decorate(view: View) -> View:
            self.add_url_rule(path, None, view, methods=[method])
            return view

        return decorate


class IdConverter(BaseConverter):
    """A UUID in a path; a path with anything else there does not exist."""

    regex = UUID_PATTERN


class AgentIdConverter(BaseConverter):
    regex = AGENT_ID_PATTERN


class QuestionIdConverter(BaseConverter):
    regex = QUESTION_ID_PATTERN


CONVERTERS = {"id": IdConverter, "agent_id": AgentIdConverter, "question_id": QuestionIdConverter}


def read_before(read: Callable[..., object]) -> Callable[[View], View]:
    """Call `read` before the view, which gets its result as `seen`.

    read is called with the path's parameters, after the caller was admitted and before any transaction is open, that
    of an Idempotency-Key included; not if the answer to that key is stored. An error that it raises is the reply.
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def pass_on(*args: object, **kwargs: object) -> object:
            return view(*args, seen=g.seen, **kwargs)

        return _marked(pass_on, view, read_before=read)

    return decorate


def body(schema: type[Schema], *, most_bytes: int | None = None) -> Callable[[View], View]:
    """The JSON body, read by the schema, becomes the view's parameters. An absent body is read as `{}`.

    most_bytes: 413 above this size; None is the limit of all bodies.
    """
    reader = schema()

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def read(*args: object, **kwargs: object) -> object:
            if most_bytes is not None:
                request.max_content_length = most_bytes
            return view(*args, **_parameters("body", _load(reader, _json_body())), **kwargs)

        _described(read, "arguments").setdefault("parameters", []).append(
            {"in": "json", "required": any(field.required for field in reader.fields.values()), "schema": schema}
        )
        return _marked(read, view, takes_body=True, most_bytes=most_bytes)

    return decorate


def raw_body(most_bytes: int, *, media_type: str | None = "application/octet-stream") -> Callable[[View], View]:
    """The view gets the body as `body`, as bytes; 413 above this size.

    media_type: how the API's description names it; None: not at all.
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def read(*args: object, **kwargs: object) -> object:
            request.max_content_length = most_bytes
            return view(*args, body=body_bytes(), **kwargs)

        if media_type is not None:
            content = {media_type: {"schema": {"type": "string", "format": "binary"}}}
            _described(read, "manual_doc")["requestBody"] = {"required": True, "content": content}
        return _marked(read, view, takes_body=True, most_bytes=most_bytes)

    return decorate


def query(schema: type[Schema]) -> Callable[[View], View]:
    """The query, read by the schema, becomes the view's parameters. Unknown and repeated parameters are a 400."""
    reader = schema()

    def decorate(view: View) -> View:
        read_again = functools.lru_cache(maxsize=64)(lambda _query_string: _load(reader, _query_parameters()))

        @functools.wraps(view)
        def read(*args: object, **kwargs: object) -> object:
            # Reading depends on the query string alone, and makes nothing that a view could change but the dict, of
            # which `_parameters` and the call make a copy. Faults are raised, so they are not remembered.
            return view(*args, **_parameters("query", read_again(request.query_string)), **kwargs)

        _described(read, "arguments").setdefault("parameters", []).append({"in": "query", "schema": schema})
        return _marked(read, view, takes_query=True)

    return decorate


def _parameters(name: str, loaded: object) -> dict[str, object]:
    """A view's parameters: the fields of a schema, or the value that it makes under the name."""
    return loaded if isinstance(loaded, dict) else {name: loaded}


def reply(schema: type[Schema] | None, status: int = 200, *, also: Sequence[str] = ()) -> Callable[[View], View]:
    """The reply is written by the schema from what the view returns; None: a reply without a JSON body.

    also: other media types that the view may return, as Verbatim.
    """
    writer = None if schema is None else writer_of(schema())

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def write(*args: object, **kwargs: object) -> Response:
            response = respond(view(*args, **kwargs), writer, status)
            return response if writer is None else with_tag(response)

        described: dict[str, object] = {"description": HTTPStatus(status).phrase, "content_type": None}
        if schema is not None:
            described["schema"] = schema
        responses = _described(write, "response").setdefault("responses", {}).setdefault(status, [])
        responses += [described] if schema is not None or not also else []
        content = {"type": "string"} if schema is not None else {"type": "string", "format": "binary"}
        responses += [{**described, "schema": content, "content_type": media_type} for media_type in also]
        return _marked(write, view, is_strict=True)

    return decorate


def never_replayed(view: View) -> View:
    """Ignore the Idempotency-Key: the reply holds a secret that must not be stored."""
    return _marked(view, view, is_replayed=False)


def stored_afterwards(view: View) -> View:
    """With an Idempotency-Key, store the answer after the view, outside of any transaction of it.

    For a view that waits, or whose effect is the same however often it is called.
    """
    return _marked(view, view, is_stored_afterwards=True)


def _described(view: object, part: str) -> _Description:
    """The part of flask-smorest's description of the view, as a copy of the wrapped view's."""
    apidoc: dict[str, _Description] = {
        key: {**value} if isinstance(value, dict) else value for key, value in getattr(view, "_apidoc", {}).items()
    }
    setattr(view, "_apidoc", apidoc)  # noqa: B010 (a function has no such attribute for the type checker)
    return apidoc.setdefault(part, {})


def _marked(wrapper: object, _view: View, **marks: object) -> View:
    """The wrapper with marks on it that `refuse_unread` and `kept_answers.answer` read; typed as the view it wraps."""
    for name, value in marks.items():
        setattr(wrapper, name, value)
    return cast("View", wrapper)


class QueryInteger(Integer):
    """A whole number in a query string: digits only."""

    def __init__(self, least: int, most: int = LARGEST_INTEGER, **options: Unpack[FieldOptions]) -> None:
        super().__init__(least, most, **options)

    def _deserialize(self, value: object, attr: str | None, data: object, **kwargs: object) -> int:
        if not isinstance(value, str) or not _DIGITS.fullmatch(value):
            raise self.make_error("invalid", input=value)
        # 20 digits are above every limit, and Python refuses to read very long numbers.
        return super()._deserialize(int(value.lstrip("0")[:20] or "0"), attr, data, **kwargs)


class PagingSchema(Schema):
    """limit, offset and cursor, passed to the view as `page`, a PageQuery."""

    limit = QueryInteger(1, MOST, load_default=DEFAULT_LIMIT)
    offset = QueryInteger(0, FARTHEST_OFFSET, load_default=0)
    cursor = fields.String(load_default=None, validate=ma.validate.Length(1, 300, error="Not a cursor of this list"))

    @ma.post_load
    def _as_page(self, loaded: dict[str, object], **_context: object) -> dict[str, object]:
        paging = {name: loaded.pop(name) for name in ("limit", "offset", "cursor")}
        return {**loaded, "page": PageQuery(**paging)}  # type: ignore[arg-type]


@functools.cache
def single(name: str, schema: type[Schema]) -> type[Schema]:
    """`{"<name>": {…}}`, read from the object itself."""
    return _named(f"{_component(schema)}Of{_title(name)}", {name: WholeObject(schema)})


@functools.cache
def page_of(plural: str, schema: type[Schema], *, is_capped: bool = False) -> type[Schema]:
    """`{"<plural>": […], total, totalIsCapped?, limit, offset, nextCursor}`, read from a Page.

    is_capped: whether the total may be capped.
    """
    counts = {name: fields.Integer() for name in ("total", "limit", "offset")}
    listed = fields.List(fields.Nested(schema), attribute="items")
    attributes = {plural: listed, **counts, "next_cursor": fields.String(allow_none=True)}
    if is_capped:
        attributes["total_is_capped"] = fields.Boolean(metadata={"description": "true: there are more than `total`"})
    return type(f"{_title(plural)}Page", (SparseSchema,), {**attributes, "optional": frozenset({"totalIsCapped"})})


def _named(name: str, attributes: Mapping[str, AnyField]) -> type[Schema]:
    return type(name, (Schema,), dict(attributes))


def _component(schema: type[Schema]) -> str:
    """The schema's name in openapi.json."""
    return schema.__name__.removesuffix("Schema")


def _title(name: str) -> str:
    return name[0].upper() + name[1:]


def _load(reader: Schema, given: Mapping[str, object]) -> object:
    try:
        return cast("object", reader.load(given, partial=reader.may_be_absent))
    except ma.ValidationError as error:
        raise Faults(faults_of(error.messages)) from error


def _json_body() -> JsonObject:
    raw = body_bytes()
    if not raw:
        return {}
    if request.mimetype != "application/json":
        raise UnsupportedMedia(request.mimetype)
    return parse_object(raw)


def body_bytes() -> bytes:
    current = request._get_current_object()  # type: ignore[attr-defined]
    if current.environ.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
        raise UnsupportedMedia("a compressed body")
    raw = current.get_data()
    # A chunked body has no Content-Length, and werkzeug 3.1 cuts it off at the limit without an error.
    if current.content_length is None and len(raw) >= (current.max_content_length or len(raw) + 1):
        raise RequestEntityTooLarge
    return cast("bytes", raw)


def _query_parameters() -> dict[str, str]:
    faults: list[Fault] = []
    for name, values in request.args.lists():
        if len(values) > 1:
            faults.append((name, "Given more than once"))
        check_text(name, "query")
        for value in values:
            check_text(value, name)
    if faults:
        raise Faults(faults)
    return request.args.to_dict()


def refuse_unread(view: object) -> None:
    """Reject a body or query parameters that a view with @reply does not declare."""
    if not getattr(view, "is_strict", False):
        return
    environ = request.environ
    if not getattr(view, "takes_query", False) and environ.get("QUERY_STRING") and request.args:
        _load(NoFields(), _query_parameters())
    if not hasattr(view, "takes_body") and environ["REQUEST_METHOD"] in {"POST", "PUT", "PATCH", "DELETE"}:
        _load(NoFields(), _json_body())
