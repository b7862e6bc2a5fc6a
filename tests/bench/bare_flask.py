"""The least that Flask can do under the platform's gunicorn: what the API's requests are compared with."""

from __future__ import annotations

from flask import Flask, Response, request

app = Flask(__name__, static_folder=None)


@app.get("/<path:_path>")
def hello(_path: str) -> Response:
    return Response("hello", content_type="text/plain")


@app.post("/<path:_path>")
def accept(_path: str) -> Response:
    """Read a JSON body and answer."""
    body = request.get_json()
    return Response(str(len(body)), status=201, content_type="text/plain")
