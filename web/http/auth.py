"""Who may call what: said above every view, checked before any of it runs.

Deny by default: an endpoint without a rule stops the start of the app. Only one Authorization header of scheme Bearer
counts; tokens in query strings and cookies do not exist. Flask-JWT-Extended issues the tokens of a login;
common.services.people.accounts verifies them, for sockets too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from flask import Flask, g, request
from flask_jwt_extended import JWTManager, create_access_token, create_refresh_token

from common.errors import Conflict, Forbidden, NotFound, Unauthenticated
from common.services.access import Caller
from common.services.people import accounts, tokens
from common.services.runs import runners
from common.services.runs.runners import AgentPrincipal, RunPrincipal
from common.settings import settings
from common.states import Role
from web.http.rate_limits import spend, writes

View = TypeVar("View", bound=Callable[..., Any])
P = TypeVar("P")

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_BEARER = re.compile(r"Bearer ([A-Za-z0-9._~+/=-]{1,2048})", re.IGNORECASE)


Principal = Caller | AgentPrincipal | RunPrincipal | None
"""Whoever calls. None: a holder of an enrolment token, who is nobody yet."""


@dataclass(frozen=True)
class Rule:
    """How an endpoint knows its caller: from the token to what events call them, and who they are.

    None: anybody may call, or the view checks a proof of its own.
    """

    authenticate: Callable[[str], tuple[str, Principal]] | None


def allow(least: Role) -> Callable[[View], View]:
    """People of this role or above. What they may see and do in a project is the service's to decide."""

    def authenticate(token: str) -> tuple[str, Principal]:
        _refuse_agents(token)
        caller = accounts.authenticate(token)
        caller.require(least)
        return caller.name, caller

    return _ruled(Rule(authenticate))


def allow_agent(view: View) -> View:
    """A registered agent, by its own token: `agent()` in the view."""

    def authenticate(token: str) -> tuple[str, Principal]:
        principal = runners.authenticate_agent(token)
        return f"agent:{principal.agent_id}", principal

    return _ruled(Rule(authenticate))(view)


def allow_run(*, even_over: bool = False) -> Callable[[View], View]:
    """The agent at work on the run that the path names as run_id, by the run's token: `run()` in the view.

    Another's run does not exist for it. A run that is over is a Conflict, unless even_over.
    """

    def authenticate(token: str) -> tuple[str, Principal]:
        principal = runners.authenticate_run(token)
        named = (request.view_args or {}).get("run_id")
        if named != principal.run_id:
            raise NotFound(f"run {named}")
        if not principal.is_live and not even_over:
            raise Conflict(f"run {principal.run_id} is over", field="run")
        return f"agent:{principal.agent_id}", principal

    return _ruled(Rule(authenticate))


def allow_enrolment(view: View) -> View:
    """Whoever holds an enrolment token."""

    def authenticate(token: str) -> tuple[str, Principal]:
        return f"enrolment:{tokens.authenticate_enrolment(token)}", None

    return _ruled(Rule(authenticate))(view)


def _refuse_agents(token: str) -> None:
    """An agent is known, and has no business here: Forbidden. A token of none is told nothing."""
    if token.startswith("awa_"):
        raise Forbidden(f"agent {runners.authenticate_agent(token).agent_id} at a person's route")
    if token.startswith("awr_"):
        raise Forbidden(f"run {runners.authenticate_run(token).run_id} at a person's route")


def public(view: View) -> View:
    """Anybody, or whoever shows a proof that the view checks itself (a signature, a password)."""
    return _ruled(Rule(None))(view)


def _ruled(rule: Rule) -> Callable[[View], View]:
    def decorate(view: View) -> View:
        marked: Any = view
        marked.rule = rule
        if rule.authenticate is None:
            apidoc = {**getattr(view, "_apidoc", {})}
            apidoc["manual_doc"] = {**apidoc.get("manual_doc", {}), "security": []}
            marked._apidoc = apidoc
        return view

    return decorate


def open_blueprints(app: Flask, *names: str) -> None:
    """Mark what other modules serve without a caller: files, or a socket that authenticates by its first message."""
    for endpoint, view in app.view_functions.items():
        if endpoint.partition(".")[0] in names:
            public(view)


def rule_of(app: Flask, endpoint: str) -> Rule | None:
    return getattr(app.view_functions[endpoint], "rule", None)


def check_rules(app: Flask) -> None:
    """Refuse to start where an endpoint does not say who may call it."""
    missing = sorted({rule.endpoint for rule in app.url_map.iter_rules() if rule_of(app, rule.endpoint) is None})
    if missing:
        raise RuntimeError(f"endpoints without @allow or @public: {', '.join(missing)}")


def admit(app: Flask, endpoint: str) -> str:
    """Let the caller in or raise; returns the name that events will know them by."""
    rule = rule_of(app, endpoint)
    if rule is None:
        raise Forbidden(f"{endpoint} has no rule")
    if rule.authenticate is None:
        return "anonymous"
    name, g.principal = rule.authenticate(bearer_token())
    if isinstance(g.principal, Caller) and request.method not in SAFE_METHODS:
        spend(writes(), g.principal.user_id)
    return name


def bearer_token() -> str:
    """The token of the request. Two Authorization headers reach us joined by a comma, which no token has."""
    match = _BEARER.fullmatch(request.headers.get("Authorization", ""))
    if match is None:
        raise Unauthenticated
    return match[1]


def who() -> Caller:
    """The person who calls; only in views with @allow."""
    return _principal(Caller)


def agent() -> AgentPrincipal:
    """The agent that calls; only in views with @allow_agent."""
    return _principal(AgentPrincipal)


def run() -> RunPrincipal:
    """The run that calls; only in views with @allow_run()."""
    return _principal(RunPrincipal)


def _principal(kind: type[P]) -> P:
    principal = g.principal
    if not isinstance(principal, kind):
        raise TypeError(f"this view is not called by a {kind.__name__}")
    return principal


def init_tokens(app: Flask) -> None:
    """Set up Flask-JWT-Extended to issue what common.services.people.accounts accepts."""
    app.config.update(
        JWT_SECRET_KEY=accounts.signing_key(),
        JWT_ALGORITHM=accounts.ALGORITHM,
        JWT_ENCODE_AUDIENCE=accounts.AUDIENCE,
        JWT_ENCODE_ISSUER=accounts.ISSUER,
        JWT_TOKEN_LOCATION=["headers"],
        JWT_COOKIE_CSRF_PROTECT=False,
    )
    JWTManager(app)


def issue_tokens(login: accounts.OpenLogin) -> dict[str, Any]:
    """The pair of tokens of a login, as the reply has them."""
    security = settings().security
    claims = {"sid": login.login_id, "epoch": login.user.token_epoch}
    access = create_access_token(
        identity=login.user.id,
        additional_claims=claims,
        expires_delta=timedelta(seconds=security.access_token_seconds),
    )
    again = create_refresh_token(
        identity=login.user.id,
        additional_claims={**claims, "jti": login.refresh_id},
        expires_delta=timedelta(seconds=security.refresh_token_seconds),
    )
    return {
        "access_token": access,
        "refresh_token": again,
        "expires_in": security.access_token_seconds,
        "user": login.user,
    }
