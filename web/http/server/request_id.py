"""The request's id: the X-Request-ID header if it is printable ASCII, else a new id."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flask import request

from common.values.names import new_request_id

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Printable ASCII can stand unchanged in a header, a log line and a database column.
_FIT = re.compile(r"[\x21-\x7e]{1,100}")
_KEY = "aiworker.request_id"


def request_id() -> str:
    """The id of the current request. Repeated calls return the same id."""
    return request_id_of(request.environ)


def request_id_of(environ: WSGIEnvironment) -> str:
    """The id of the request with this environment, which keeps it."""
    known: str | None = environ.get(_KEY)
    if known is None:
        given = environ.get("HTTP_X_REQUEST_ID", "")
        known = environ[_KEY] = given if given and _FIT.fullmatch(given) else new_request_id()
    return known
