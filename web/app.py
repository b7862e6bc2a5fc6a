"""The web application: what every request passes on its way to a view.

gunicorn serves `create_app()`. Steps of a request: its id, the route, the caller (web/http/auth.py), the check for
undeclared input (web/http/blueprint.py), the stored reply to its Idempotency-Key, the view, the headers of the reply.
Before them a socket is opened (web/websocket/protocol.py), or a kept reply repeated (web/http/reply_cache.py).
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, cast

from flask import Flask, Request, Response, request
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import MapAdapter, Rule

from common.database import wait_budget
from common.services.requests.access import acting
from common.settings import settings
from common.telemetry.error_reports import start_error_reports
from common.telemetry.logs import configure_logs
from common.telemetry.tracing import is_tracing, start_tracing
from web import api
from web.api.probes import health
from web.client.client_routes import init_client
from web.gateway import counters
from web.gateway.provider_tests import provider_tests
from web.gateway.routes import gateway
from web.git.routes import git
from web.http.auth import admit, check_rules, init_tokens, open_blueprints
from web.http.blueprint import CONVERTERS, refuse_unread
from web.http.description.document import Document
from web.http.description.openapi import describe, init_openapi
from web.http.errors import register_error_handlers
from web.http.host_check import init_host_check
from web.http.idempotency import answer
from web.http.paths import require_plain
from web.http.reply_cache import Headers, ReplyCache, raise_failed
from web.http.server.head_timeout import refuse
from web.http.server.refusals import refusal
from web.http.server.request_counts import RequestCounts
from web.http.server.request_id import request_id, request_id_of
from web.http.server.slow_requests import log_if_slow
from web.http.server.traces import traced_request
from web.metrics import init_metrics
from web.page.routes import page
from web.websocket.protocol import init_feed, socket_opener

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_FOR_ALL = [
    (name, name.lower(), value)
    for name, value in (
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    )
]
_FOR_API = [*_FOR_ALL, ("Cache-Control", "cache-control", "no-store")]
"""Headers of replies: name, name in lower case, value."""

_API = [*api.ALL, provider_tests]
MAX_BODY_BYTES = 2**20
"""Largest JSON body. Git over HTTP is exempt."""


class MatchedRule(Rule):
    """A rule for matching paths. Code that builds addresses from it is made when the first one is asked for.

    Werkzeug makes that code for every rule at once: three quarters of the time that an application takes to make.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        make = functools.cache(functools.partial(super()._compile_builder, append_unknown))

        def build(rule: Rule, **values: object) -> tuple[str, str]:
            return make()(rule, **values)

        return build


class Application(Flask):
    """Flask with one check in front of all views.

    open_socket: opens the socket that a request asks for; None: the application has no sockets.
    """

    url_rule_class = MatchedRule
    counts: RequestCounts
    reply_cache: ReplyCache
    allows_host: Callable[[str], bool]
    open_socket: Callable[[WSGIEnvironment], bool] | None = None

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """As Flask's, with the headers that every reply has; but a reply that can be repeated is, without Flask.

        They are added to the list that the server gets: werkzeug checks and copies each header of a Response twice.
        """
        if "HTTP_UPGRADE" in environ and self.open_socket is not None and self.open_socket(environ):
            # So gunicorn closes its own descriptor of the socket, and sends nothing: the socket has another.
            raise StopIteration
        if (repeated := self.reply_cache.answer(environ, start_response)) is not None:
            return repeated

        def start(status: str, headers: Headers, exc_info: OptExcInfo | None = None) -> Callable[[bytes], object]:
            complete = headers + _missing(environ, headers)
            self.reply_cache.keep(environ, status, complete)
            return start_response(status, complete, exc_info)

        return super().wsgi_app(environ, start)

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """As Flask's, but a host is read into its parts once. Handshakes of sockets go Flask's way."""
        if request is None or "HTTP_UPGRADE" in request.environ:
            return super().create_url_adapter(request)
        environ = request.environ
        return MapAdapter(
            self.url_map, self._server_name(request.host), request.root_path, "", environ["wsgi.url_scheme"],
            request.path, request.method, environ.get("QUERY_STRING", ""),
        )  # fmt: skip

    @functools.cached_property
    def _server_name(self) -> Callable[[str], str]:
        """The name of a host as rules are matched with it. Raises werkzeug's BadHost, which is not remembered."""
        return functools.lru_cache(maxsize=256)(lambda host: self.url_map.bind(host).server_name)

    def full_dispatch_request(self) -> Response:
        """As Flask's: all that happens for a request, with the reply to an error. It is a span where there are any."""
        current = request._get_current_object()  # type: ignore[attr-defined]
        began = time.perf_counter()
        try:
            reply = self._traced_dispatch() if is_tracing() else super().full_dispatch_request()
        except Exception:
            self.counts.count_exception(current, time.perf_counter() - began)
            raise
        took = time.perf_counter() - began
        self.counts.count(current, reply.status_code, took)
        log_if_slow(current, reply.status_code, took)
        return reply

    def _traced_dispatch(self) -> Response:
        with traced_request(request) as traced:
            reply = super().full_dispatch_request()
            traced.note("http.response.status_code", reply.status_code)
            if reply.status_code >= 500:
                traced.fail(str(reply.status_code))
            return reply

    def dispatch_request(self) -> Response:
        """Authenticate the caller, then run the view in the caller's name."""
        # The proxy `request` is looked up again at each use, which adds up in what every request passes.
        current = request._get_current_object()  # type: ignore[attr-defined]
        raise_failed(current.environ)
        require_plain(current.path)
        if current.routing_exception is not None:
            self.raise_routing_exception(current)
        endpoint = str(current.endpoint)
        with _patience_for(endpoint):
            name = admit(self, endpoint)
            view = self.view_functions[endpoint]
            refuse_unread(view)
            with acting(name, request_id()):
                return answer(view, lambda: self.make_response(cast("Response", view(**current.view_args))))


def _patience_for(endpoint: str) -> AbstractContextManager[None]:
    """Limit how long a request waits for the database. A socket is one request for its whole life: it has no limit."""
    return nullcontext() if endpoint.startswith("feed.") else wait_budget.at_most(wait_budget.API_SECONDS)


def create_app(*, page_sources: bool = False) -> Flask:
    """A new application with the settings of this process: everything that AiWorker serves.

    page_sources: see web/page/routes.py.
    """
    app = _bare_app()
    app.config["PAGE_SOURCES"] = page_sources
    start_tracing("web")
    start_error_reports("web")
    init_client(app, init_openapi(app, _API))
    app.register_blueprint(page)
    if settings().forge.kind == "local":
        app.register_blueprint(git)
    init_feed(app)
    app.open_socket = socket_opener(app.allows_host)
    open_blueprints(app, "page", "feed")
    return _finished(app)


def description() -> Document:
    """The description of the API, as /api/openapi.json has it."""
    return describe(_API)


def create_gateway() -> Flask:
    """An application that serves the model gateway, /api/health and the metrics, and nothing else."""
    app = _bare_app()
    start_tracing("gateway")
    start_error_reports("gateway")
    init_openapi(app, [health])
    return _finished(app)


def _bare_app() -> Application:
    """An application with what all requests pass, and the routes that both kinds of process have."""
    configure_logs()
    app = Application("web", static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY_BYTES, PROVIDE_AUTOMATIC_OPTIONS=False)
    # No redirects to corrected paths: a wrong path is a 404, and no address is built from the Host header.
    app.url_map.merge_slashes = False
    app.url_map.converters.update(CONVERTERS)
    app.allows_host = init_host_check(app)
    init_tokens(app)
    register_error_handlers(app)
    refuse[:] = [refusal]
    app.counts = init_metrics(app, *counters.ALL)
    app.reply_cache = ReplyCache(app.counts)
    app.register_blueprint(gateway)
    return app


def _finished(app: Application) -> Flask:
    check_rules(app)
    hops = settings().web.trusted_proxies
    if hops:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    return app


def _missing(environ: WSGIEnvironment, headers: Headers) -> Headers:
    """The headers of all replies that this one lacks."""
    # An answer of a model provider, a file of the page and an attachment have some of their own.
    own = {name.lower() for name, _value in headers}
    of_path = _FOR_API if environ["PATH_INFO"].lstrip("/").startswith("api/") else _FOR_ALL
    missing = [(name, value) for name, lower, value in of_path if lower not in own]
    if "x-request-id" not in own:
        missing.append(("X-Request-ID", request_id_of(environ)))
    return missing
