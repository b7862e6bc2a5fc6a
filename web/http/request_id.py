"""The request's id: the X-Request-ID header if it is printable ASCII, else a new id."""

from __future__ import annotations

import re

from flask import g, request

from common.names import new_request_id

# Printable ASCII can stand unchanged in a header, a log line and a database column.
_FIT = re.compile(r"[\x21-\x7e]{1,100}")


def request_id() -> str:
    """The id of the current request. Repeated calls return the same id."""
    known: str | None = g.get("request_id")
    if known is None:
        given = request.environ.get("HTTP_X_REQUEST_ID", "")
        known = g.request_id = given if given and _FIT.fullmatch(given) else new_request_id()
    return known
