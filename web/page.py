"""The files of the web page, with their cache and security headers: `/`, `/static/` and `/api/docs`.

It knows neither the API nor the database: the page gets its content over `/api` and `/ws` like every other client. The
app has to be made with `static_folder=None`, or Flask's own route would answer `/static/` without these headers.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from flask import Blueprint, Response, abort, request
from flask.blueprints import BlueprintSetupState

from common.errors import Misconfigured
from common.settings import RuntimeSettings, settings

STATIC = Path(__file__).parent / "static"

# Not taken from the machine's MIME table: a browser does not run a module of another type.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}

# Only files that exist at the start are served, so no name can lead out of the folder.
_FILES = {
    path.relative_to(STATIC).as_posix(): path
    for path in sorted(STATIC.rglob("*"))
    if path.is_file() and (path.suffix in _TYPES or path.name.startswith(("LICENSE", "NOTICE")))
}

_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.IGNORECASE)
_IMPORT_MAP = re.compile(r'<script type="importmap">(.*?)</script>', re.DOTALL)

page = Blueprint("page", __name__)


def content_security_policy(html: str, framed: str = "'none'") -> str:
    """The policy for a page: content of this origin only; of inline scripts only its import map, by hash.

    framed: the source expression of what the page may show in frames.
    """
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in _IMPORT_MAP.findall(html)
    ]
    return "; ".join(
        [
            "default-src 'self'",
            " ".join(["script-src 'self'", *hashes]),
            "style-src 'self'",
            "img-src 'self' data:",
            "font-src 'self'",
            # In CSP 3, 'self' includes the WebSocket of this origin.
            "connect-src 'self'",
            "object-src 'none'",
            f"frame-src {framed}",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def addresses_of_previews(runtime: RuntimeSettings) -> str:
    """The source expression of all previews' addresses; 'none' if there is no expression for their host.

    They are on other origins than the page: another port of one machine, or another host of a cluster.
    """
    if runtime.kubernetes is not None:
        scheme = "https" if runtime.kubernetes.is_tls else "http"
        return f"{scheme}://*.{runtime.kubernetes.domain}"
    # An address in brackets has no expression.
    return f"http://{runtime.public_host}:*" if _HOST_NAME.fullmatch(runtime.public_host) else "'none'"


@page.record_once
def _own_the_static_files(state: BlueprintSetupState) -> None:
    if state.app.has_static_folder:
        raise Misconfigured("the app has a static folder of its own; make it with Flask(…, static_folder=None)")


@page.get("/")
def index() -> Response:
    """The app's only page. Its routes follow a `#`, so the server sends the same page for all of them."""
    return _html("index.html", addresses_of_previews(settings().runtime))


@page.get("/api/docs")
def docs() -> Response:
    """The API's interactive documentation, made from `/api/openapi.json`."""
    return _html("docs.html")


@page.get("/static/<path:name>")
def static_file(name: str) -> Response:
    """A file of the page. Browsers revalidate our files (ETag) and keep vendored ones, whose path has a version."""
    if name not in _FILES:
        abort(404)
    if name.startswith("vendor/"):
        return _reply(name, "public, max-age=31536000, immutable")
    return _reply(name, "no-cache")


def _html(name: str, framed: str = "'none'") -> Response:
    reply = _reply(name, "no-cache")
    reply.headers["Content-Security-Policy"] = content_security_policy((STATIC / name).read_text("utf-8"), framed)
    reply.headers["X-Frame-Options"] = "DENY"
    reply.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    reply.headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
    return reply


def _reply(name: str, cache: str) -> Response:
    path = _FILES[name]
    body = path.read_bytes()
    reply = Response(body, content_type=_TYPES.get(path.suffix, "text/plain; charset=utf-8"))
    reply.headers["Cache-Control"] = cache
    reply.headers["X-Content-Type-Options"] = "nosniff"
    reply.headers["Referrer-Policy"] = "no-referrer"
    reply.set_etag(hashlib.sha256(body).hexdigest())
    reply.make_conditional(request)
    return reply
