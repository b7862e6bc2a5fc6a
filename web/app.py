"""The web application, whole: what every request passes on its way to a view.

`create_app()` is what gunicorn serves. Order within a request: its id, the route, the caller (web/http/auth.py), what
may be sent (web/http/blueprint.py), the earlier answer to its Idempotency-Key, the view; then headers.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from flask import Flask, Response, request
from werkzeug.middleware.proxy_fix import ProxyFix

from common.logs import configure_logs
from common.machine import patience
from common.services.access import acting
from common.settings import settings
from web import api
from web.git.routes import git
from web.http.arrival import init_arrival
from web.http.auth import admit, check_rules, init_tokens, open_blueprints
from web.http.blueprint import CONVERTERS, answer, refuse_unread
from web.http.errors import register_error_handlers
from web.http.openapi import init_openapi
from web.http.paths import require_plain
from web.http.request_id import request_id
from web.metrics import init_metrics
from web.page import page
from web.websocket.protocol import init_feed


class Application(Flask):
    """Flask, with one door in front of all views."""

    def dispatch_request(self) -> Response:
        """Admit the caller, then run the view in the caller's name."""
        require_plain(request.path)
        if request.routing_exception is not None:
            self.raise_routing_exception(request)
        endpoint = str(request.endpoint)
        with _patience_for(endpoint):
            name = admit(self, endpoint)
            view = self.view_functions[endpoint]
            refuse_unread(view)
            with acting(name, request_id()):
                return answer(view, lambda: self.make_response(super(Application, self).dispatch_request()))


def _patience_for(endpoint: str) -> AbstractContextManager[None]:
    """Bounds what a request waits for the database. A socket's whole life is one request: it has no such end."""
    return nullcontext() if endpoint.startswith("feed.") else patience.at_most(patience.API_SECONDS)


def create_app() -> Flask:
    """A new application with the settings of this process."""
    configure_logs()
    web = settings().web
    app = Application("web", static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=web.max_body_bytes, PROVIDE_AUTOMATIC_OPTIONS=False)
    # Neither redirects nor guesses: an address is right or it is a 404, and none is made from the Host header.
    app.url_map.merge_slashes = False
    app.url_map.converters.update(CONVERTERS)
    init_arrival(app)
    init_tokens(app)
    register_error_handlers(app)
    init_openapi(app, api.ALL)
    init_metrics(app)
    app.register_blueprint(page)
    if settings().forge.kind == "local":
        app.register_blueprint(git)
    init_feed(app)
    open_blueprints(app, "page", "feed")
    app.after_request(_add_headers)
    check_rules(app)
    if web.trusted_proxies:
        hops = web.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    return app


def _add_headers(reply: Response) -> Response:
    reply.headers["X-Request-ID"] = request_id()
    reply.headers.setdefault("X-Content-Type-Options", "nosniff")
    reply.headers.setdefault("Referrer-Policy", "no-referrer")
    reply.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    if request.path.startswith("/api/"):
        reply.headers.setdefault("Cache-Control", "no-store")
    return reply
