"""The files of the web page, with their cache and security headers: `/`, `/static/`, `/api/docs` and `/docs`.

It knows neither the API nor the database: the page gets its content over `/api` and `/ws` like every other client. The
app has to be made with `static_folder=None`, or Flask's own route would answer `/static/` without these headers.

Browsers get the page in few files that web/bundling makes of its sources when the first one is asked for. With
`aiworker up --page-sources`, for work on the page, they get the sources themselves, as they are at each request.
"""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from flask import Blueprint, Response, abort, current_app, request
from flask.blueprints import BlueprintSetupState

from common.errors import Misconfigured
from common.settings import RuntimeSettings, settings
from web.page.bundles import FOLDER, Bundle, bundle

STATIC = Path(__file__).parents[1] / "static"

# Not taken from the machine's MIME table: a browser does not run a module of another type.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
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

_IMMUTABLE = "public, max-age=31536000, immutable"
_REVALIDATED = "no-cache"

page = Blueprint("page", __name__)


@dataclass(frozen=True)
class Content:
    """A file as it is sent. zipped: the same by gzip, None if that is no smaller. digest: hex SHA-256 of the body."""

    body: bytes
    zipped: bytes | None
    digest: str


@functools.cache
def bundled() -> Bundle:
    """The page in few files, made of the sources at the first call."""
    return bundle(STATIC)


@functools.lru_cache(maxsize=256)
def _content(name: str, _changed_ns: int) -> Content:
    body = bundled().files[name] if name.startswith(FOLDER) else _FILES[name].read_bytes()
    return _zipped(name, body)


def _zipped(name: str, body: bytes) -> Content:
    # Fonts and pictures are compressed already.
    zipped = None if name.endswith((".woff2", ".png")) else gzip.compress(body, compresslevel=9, mtime=0)
    is_smaller = zipped is not None and len(zipped) < len(body)
    return Content(body, zipped if is_smaller else None, hashlib.sha256(body).hexdigest())


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
    framed = addresses_of_previews(settings().runtime)
    if current_app.config.get("PAGE_SOURCES"):
        return _html(_source("index.html"), framed)
    return _html(_bundled_page(), framed)


@page.get("/api/docs")
def docs() -> Response:
    """The API's interactive documentation, made from `/api/openapi.json`."""
    return _html(_source("docs.html"))


@page.get("/docs")
def first_document() -> Response:
    """The documentation's first page."""
    return document("README")


@page.get("/docs/<path:name>")
def document(name: str) -> Response:
    """A page of the documentation, or a picture that one shows."""
    if name in _pictures():
        return _reply(name, _zipped(name, _pictures()[name].read_bytes()), _REVALIDATED)
    if name not in _documents().names():
        abort(404)
    if current_app.config.get("PAGE_SOURCES"):
        _rendered.cache_clear()
    return _html(_rendered(name))


@page.get("/static/<path:name>")
def static_file(name: str) -> Response:
    """A file of the page. Browsers revalidate our sources (ETag) and keep what has a version or a hash in its path."""
    if name.startswith(FOLDER):
        if name not in bundled().files:
            abort(404)
        return _reply(name, _content(name, 0), _IMMUTABLE)
    if name not in _FILES:
        abort(404)
    return _reply(name, _source(name), _IMMUTABLE if name.startswith("vendor/") else _REVALIDATED)


def _source(name: str) -> Content:
    return _content(name, _FILES[name].stat().st_mtime_ns)


@functools.cache
def _bundled_page() -> Content:
    return _zipped("index.html", bundled().html.encode())


@functools.lru_cache(maxsize=256)
def _rendered(name: str) -> Content:
    return _zipped(f"{name}.html", _documents().page(name).encode())


def _documents() -> ModuleType:
    # The Markdown library costs 0.1 s at import, and most processes show no document.
    return importlib.import_module("web.page.documents")


@functools.cache
def _pictures() -> dict[str, Path]:
    """The files that documents show, by their path below docs/. As with _FILES, no name leads out of the folder."""
    folder = Path(__file__).parents[2] / "docs"
    found = [path for kind in ("*.png", "*.svg") for path in sorted(folder.glob(f"images/{kind}"))]
    return {path.relative_to(folder).as_posix(): path for path in found}


def _html(content: Content, framed: str = "'none'") -> Response:
    reply = _reply("index.html", content, _REVALIDATED)
    reply.headers["Content-Security-Policy"] = content_security_policy(content.body.decode(), framed)
    reply.headers["X-Frame-Options"] = "DENY"
    reply.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    reply.headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
    return reply


def _reply(name: str, content: Content, cache: str) -> Response:
    kind = _TYPES.get(Path(name).suffix, "text/plain; charset=utf-8")
    zipped = content.zipped if request.accept_encodings.quality("gzip") > 0 else None
    reply = Response(content.body if zipped is None else zipped, content_type=kind)
    if content.zipped is not None:
        reply.vary.add("Accept-Encoding")
    if zipped is not None:
        reply.headers["Content-Encoding"] = "gzip"
    reply.headers["Cache-Control"] = cache
    reply.headers["X-Content-Type-Options"] = "nosniff"
    reply.headers["Referrer-Policy"] = "no-referrer"
    # Two bodies, so two tags.
    reply.set_etag(content.digest if zipped is None else f"{content.digest}-gzip")
    reply.make_conditional(request)
    return reply
