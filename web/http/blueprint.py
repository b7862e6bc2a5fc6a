"""What stands above a view: what goes in, what comes out, and how a request is carried through.

    tasks = Blueprint("tasks", __name__, url_prefix="/api")

    class CreateTask(Schema):
        read_only = frozenset({"id", "state"})          # 400 `Read-only field` instead of `Unknown field`
        project_id = Id(required=True)                   # `projectId` on the wire
        title = Line(200, required=True)
        priority = Label(Priority, load_default=Priority.MEDIUM)

    class TaskReply(Schema):                             # its name is its name in openapi.json
        id = fields.String()
        created_at = Timestamp()

    @tasks.post("/tasks")
    @allow(Role.MEMBER)
    @body(CreateTask)
    @reply(one("task", TaskReply), 201)
    def create_task(body: dict[str, Any]) -> Any:
        return {"task": services.create_task(**body, by=who())}

    class ListTasks(Paging):                             # limit, offset, cursor become `page`
        state = Choice(TaskState, load_default=None)

    @tasks.get("/tasks")
    @allow(Role.VIEWER)
    @query(ListTasks)
    @reply(many("tasks", TaskReply))
    def list_tasks(query: dict[str, Any]) -> Any:
        return page_reply("tasks", services.list_tasks(who(), **query))

    @tasks.post("/tasks/<id:task_id>/approve")          # also <agent_id:…>, <question_id:…>; ill-formed: 404
    @allow(Role.MAINTAINER)
    @reply(one("task", TaskReply))
    def approve_task(task_id: str) -> Any: ...

Fields not sent and without load_default are absent from `body`, so a PATCH passes on what came. A view may return
`(value, status)`. `@reply(None, 204)` answers without a body. A view without `@body` takes none, or `{}`;
`@raw_body(most_bytes)` gives it as bytes; `@first(look)` looks at the world before it. Idempotency-Key works on every
POST by a person but those marked `@never_replayed`: the whole view runs in one transaction, so it may do nothing but
call services. Errors are raised (common.errors), never returned. Fields: web/http/fields.py; in queries use
QueryInteger.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

import flask_smorest
import marshmallow as ma
from flask import Response, g, request
from marshmallow import fields
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.routing import BaseConverter

from common.errors import Invalid
from common.services.access import Caller
from common.services.idempotency import LONGEST_KEY, once
from common.services.paging import DEFAULT_LIMIT, MOST, Page, PageQuery
from web.http.errors import Fault, Faults, UnsupportedMedia, faults_of
from web.http.fields import AGENT_ID_PATTERN, QUESTION_ID_PATTERN, UUID_PATTERN, Integer, Nothing, Schema
from web.http.json_strict import check_text, parse_object
from web.http.replies import writer_of

View = TypeVar("View", bound=Callable[..., Any])

FARTHEST_OFFSET = 2**31
_DIGITS = re.compile(r"[0-9]{1,18}")


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
    """An id in a path; what is none is a path that does not exist."""

    regex = UUID_PATTERN


class AgentIdConverter(BaseConverter):
    regex = AGENT_ID_PATTERN


class QuestionIdConverter(BaseConverter):
    regex = QUESTION_ID_PATTERN


CONVERTERS = {"id": IdConverter, "agent_id": AgentIdConverter, "question_id": QuestionIdConverter}


def first(look: Callable[..., Any]) -> Callable[[View], View]:
    """Look at the world before anything else: the view gets what `look` returned as `seen`.

    look is called with the path's parameters, after the caller was admitted and before any transaction is open, that
    of an Idempotency-Key included. What it raises is the reply.
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def pass_on(*args: Any, **kwargs: Any) -> Any:
            return view(*args, seen=g.seen, **kwargs)

        return _marked(pass_on, view, look=look)

    return decorate


def body(schema: type[Schema], *, most_bytes: int | None = None) -> Callable[[View], View]:
    """The view gets the JSON body as `body`, read by the schema. An absent one is read as `{}`.

    most_bytes: 413 above this size; None is what holds for all bodies.
    """
    reader = schema()

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def read(*args: Any, **kwargs: Any) -> Any:
            if most_bytes is not None:
                request.max_content_length = most_bytes
            return view(*args, body=_load(reader, _json_body()), **kwargs)

        _described(read, "arguments").setdefault("parameters", []).append(
            {"in": "json", "required": any(field.required for field in reader.fields.values()), "schema": schema}
        )
        return _marked(read, view, takes_body=True)

    return decorate


def raw_body(most_bytes: int) -> Callable[[View], View]:
    """The view gets the body as `body`, as bytes; 413 above this size."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def read(*args: Any, **kwargs: Any) -> Any:
            request.max_content_length = most_bytes
            return view(*args, body=_body_bytes(), **kwargs)

        return _marked(read, view, takes_body=True)

    return decorate


def query(schema: type[Schema]) -> Callable[[View], View]:
    """The view gets the query parameters as `query`, read by the schema. Unknown and repeated ones are a 400."""
    reader = schema()

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def read(*args: Any, **kwargs: Any) -> Any:
            return view(*args, query=_load(reader, _query_parameters()), **kwargs)

        _described(read, "arguments").setdefault("parameters", []).append({"in": "query", "schema": schema})
        return _marked(read, view, takes_query=True)

    return decorate


def reply(schema: type[Schema] | None, status: int = 200) -> Callable[[View], View]:
    """What the view returns is sent as the schema says. A Response is sent as it is."""
    writer = None if schema is None else writer_of(schema())

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def write(*args: Any, **kwargs: Any) -> Response:
            value = view(*args, **kwargs)
            if isinstance(value, Response):
                return value
            value, actual = value if isinstance(value, tuple) else (value, status)
            return Response(status=actual) if writer is None else json_reply(writer(value), actual)

        described: dict[str, Any] = {"description": HTTPStatus(status).phrase, "content_type": None}
        if schema is not None:
            described["schema"] = schema
        _described(write, "response").setdefault("responses", {}).setdefault(status, []).append(described)
        return _marked(write, view, is_strict=True)

    return decorate


def never_replayed(view: View) -> View:
    """Idempotency-Key means nothing here: the reply holds a secret that must not be kept."""
    return _marked(view, view, is_replayed=False)


def _described(view: Any, part: str) -> dict[str, Any]:
    """The part of flask-smorest's description of the view, as a copy of the wrapped view's."""
    view._apidoc = {
        key: {**value} if isinstance(value, dict) else value for key, value in getattr(view, "_apidoc", {}).items()
    }
    described: dict[str, Any] = view._apidoc.setdefault(part, {})
    return described


def _marked(wrapper: Any, _view: View, **marks: Any) -> View:
    """The wrapper with marks on it that `refuse_unread` and `answer` read; typed as the view it wraps."""
    for name, value in marks.items():
        setattr(wrapper, name, value)
    marked: View = wrapper
    return marked


class QueryInteger(Integer):
    """A whole number in a query string: digits only."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not _DIGITS.fullmatch(value):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(int(value), attr, data, **kwargs)


class Paging(Schema):
    """limit, offset and cursor, given to the view as `page`, a PageQuery."""

    limit = QueryInteger(1, MOST, load_default=DEFAULT_LIMIT)
    offset = QueryInteger(0, FARTHEST_OFFSET, load_default=0)
    cursor = fields.String(load_default=None, validate=ma.validate.Length(1, 300, error="Not a cursor of this list"))

    @ma.post_load
    def _as_page(self, loaded: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        page = PageQuery(loaded.pop("limit"), loaded.pop("offset"), loaded.pop("cursor"))
        return {**loaded, "page": page}


@functools.cache
def one(name: str, schema: type[Schema]) -> type[Schema]:
    """`{"<name>": {…}}`."""
    return _named(f"{schema.__name__}Of{_title(name)}", {name: fields.Nested(schema)})


@functools.cache
def many(plural: str, schema: type[Schema]) -> type[Schema]:
    """A page of a list: `{"<plural>": […], total, limit, offset, nextCursor}`."""
    counts = {name: fields.Integer() for name in ("total", "limit", "offset")}
    listed = fields.List(fields.Nested(schema))
    return _named(f"{_title(plural)}Page", {plural: listed, **counts, "next_cursor": fields.String(allow_none=True)})


def page_reply(plural: str, page: Page[Any]) -> dict[str, Any]:
    """What `many(plural, …)` sends."""
    return {
        plural: page.items,
        "total": page.total,
        "limit": page.limit,
        "offset": page.offset,
        "next_cursor": page.next_cursor,
    }


def _named(name: str, attributes: dict[str, Any]) -> type[Schema]:
    return type(name, (Schema,), attributes)


def _title(name: str) -> str:
    return name[0].upper() + name[1:]


def json_reply(payload: Any, status: int = 200) -> Response:
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode("utf-8", "replace"), status, content_type="application/json")


def _load(reader: Schema, given: Any) -> Any:
    try:
        return reader.load(given)
    except ma.ValidationError as error:
        raise Faults(faults_of(error.messages)) from error


def _json_body() -> dict[str, Any]:
    raw = _body_bytes()
    if not raw:
        return {}
    if request.mimetype != "application/json":
        raise UnsupportedMedia(request.mimetype)
    return parse_object(raw)


def _body_bytes() -> bytes:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMedia("a compressed body")
    raw = request.get_data()
    # A chunked body says no length, and werkzeug 3.1 cuts it off at the cap without a word.
    if request.content_length is None and len(raw) >= (request.max_content_length or len(raw) + 1):
        raise RequestEntityTooLarge
    return raw


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


def refuse_unread(view: Any) -> None:
    """What a view with @reply does not take, a caller may not send: a body, query parameters."""
    if not getattr(view, "is_strict", False):
        return
    if not getattr(view, "takes_query", False) and request.args:
        _load(Nothing(), _query_parameters())
    if not hasattr(view, "takes_body") and request.method in {"POST", "PUT", "PATCH", "DELETE"}:
        _load(Nothing(), _json_body())


def answer(view: Any, act: Callable[[], Response]) -> Response:
    """Act, or give the earlier answer to the same Idempotency-Key, byte for byte."""
    look = getattr(view, "look", None)
    if look is not None:
        g.seen = look(**(request.view_args or {}))
    key = request.headers.get("Idempotency-Key")
    caller = g.get("principal")
    if key is None or request.method != "POST" or not isinstance(caller, Caller):
        return act()
    if not getattr(view, "is_replayed", True):
        return act()
    if not 1 <= len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise Invalid("Idempotency-Key", f"Must have 1 to {LONGEST_KEY} printable characters")
    body_digest = hashlib.sha256(_body_bytes()).hexdigest()
    status, content, is_replayed = once(key, caller, f"POST {request.path}", body_digest, act, _rendered)
    first = Response(content, status, content_type="application/json")
    if is_replayed:
        first.headers["Idempotency-Replayed"] = "true"
    return first


def _rendered(response: Response) -> tuple[int, bytes]:
    return response.status_code, response.get_data()
