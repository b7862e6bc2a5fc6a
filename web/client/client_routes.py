"""GET /api/client/<wheel>: the client for Python, as pip takes it from an address."""

from __future__ import annotations

import functools
from collections.abc import Callable

from flask import Blueprint, Flask, Response, abort

from web import VERSION
from web.client.wheel import file_name, wheel_of
from web.http.auth import public
from web.http.description.document import Document


def init_client(app: Flask, description: Callable[[], Document]) -> None:
    """Serve the client of the API that is described. It is made at the first request for it."""
    blueprint = Blueprint("client", __name__)

    @functools.cache
    def wheel() -> bytes:
        return wheel_of(description())

    @blueprint.get("/api/client/<name>")
    @public
    def client(name: str) -> Response:
        """The wheel of this instance's version; any other name is a 404."""
        if name != file_name(VERSION):
            abort(404)
        return Response(wheel(), content_type="application/octet-stream")

    app.register_blueprint(blueprint)
