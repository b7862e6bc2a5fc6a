"""The request's id: taken from X-Request-ID where that is fit to be repeated, else made."""

from __future__ import annotations

import re

from flask import g, request

from common.names import new_request_id

# Printable ASCII, so that the id can stand in a header, a log line and a database column as it came.
_FIT = re.compile(r"[\x21-\x7e]{1,100}")


def request_id() -> str:
    """The present request's id, the same from its first line to its last."""
    if "request_id" not in g:
        given = request.headers.get("X-Request-ID", "")
        g.request_id = given if _FIT.fullmatch(given) else new_request_id()
    return str(g.request_id)
