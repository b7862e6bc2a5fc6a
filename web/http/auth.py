"""Who may call which view: declared by a decorator, checked before the view runs.

Access is denied by default: the app does not start with an endpoint that has no rule. A token is accepted in one
Authorization header of scheme Bearer only, never in a query string or a cookie. Flask-JWT-Extended issues the tokens of
a login; common.services.people.login_tokens verifies them, for sockets too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypedDict, TypeVar

from flask import Flask, g, request
from flask_jwt_extended import JWTManager, create_access_token, create_refresh_token

from common.errors import Conflict, Forbidden, NotFound, Unauthenticated
from common.services.agent_api import agent_api
from common.services.agent_api.agent_api import AgentPrincipal, RunPrincipal
from common.services.people import accounts, login_tokens, tokens
from common.services.requests.access import Caller, RoleInProject
from common.settings import settings
from common.settings.security import ACCESS_TOKEN_SECONDS
from common.values.states import Role
from web.http.fields import UUID_PATTERN
from web.http.rate_limits import spend, writes

View = TypeVar("View", bound=Callable[..., object])
P = TypeVar("P")

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_BEARER = re.compile(r"Bearer ([A-Za-z0-9._~+/=-]{1,2048})", re.IGNORECASE)


_PROJECT = re.compile(rf"(?:^|&)projectId=({UUID_PATTERN})(?:&|$)")
"""A `projectId` in a query string. One that is written otherwise is read by the view alone."""

Admitted = tuple[Caller, RoleInProject | None]
"""A person, and their standing in the project that the request names: a Caller is equal to one with another."""

Principal = Caller | AgentPrincipal | RunPrincipal | None
"""The caller. None: the holder of an enrolment token, who is not an agent yet."""


@dataclass(frozen=True)
class Rule:
    """How an endpoint identifies its caller: from the token to the name in events and the principal.

    None: anybody may call, or the view checks a proof such as a signature itself. caller: a sentence that says who may
    call, for the API's description. is_for_people: whether the caller is a person.
    """

    authenticate: Callable[[str], tuple[str, Principal]] | None
    caller: str
    is_for_people: bool = False


def allow(least: Role, *, project_in_query: bool = False) -> Callable[[View], View]:
    """People of this role or above. The services decide what they may see and do in a project.

    project_in_query: read the caller's standing in the project of `projectId` along with the caller.
    """

    def authenticate(token: str) -> tuple[str, Principal]:
        _refuse_agents(token)
        caller = accounts.authenticate(token, _project_in_query() if project_in_query else None)
        caller.require(least)
        return caller.name, caller

    return _ruled(Rule(authenticate, f"Needs a token of the role `{least.label}` or above.", is_for_people=True))


def _project_in_query() -> str | None:
    found = _PROJECT.search(request.environ.get("QUERY_STRING", ""))
    return None if found is None else found[1]


def allow_agent(view: View) -> View:
    """A registered agent, by its own token. The view reads it with `current_agent()`."""

    def authenticate(token: str) -> tuple[str, Principal]:
        principal = _of_agents(agent_api.authenticate_agent, token)
        return f"agent:{principal.agent_id}", principal

    return _ruled(Rule(authenticate, "For agents: needs the token of a registration."))(view)


def allow_run(*, allow_ended: bool = False) -> Callable[[View], View]:
    """The agent of the run whose run_id is in the path, by the run's token. The view reads it with `current_run()`.

    Raises NotFound for another run, and Conflict for a run that has ended unless allow_ended is True.
    """

    def authenticate(token: str) -> tuple[str, Principal]:
        principal = _of_agents(agent_api.authenticate_run, token)
        named = (request.view_args or {}).get("run_id")
        if named != principal.run_id:
            raise NotFound(f"run {named}")
        if not principal.is_live and not allow_ended:
            raise Conflict(f"run {principal.run_id} is over", field="run")
        return f"agent:{principal.agent_id}", principal

    return _ruled(Rule(authenticate, "For agents: needs the token of the run."))


def allow_enrolment(view: View) -> View:
    """A holder of an enrolment token."""

    def authenticate(token: str) -> tuple[str, Principal]:
        return f"enrolment:{_of_agents(tokens.authenticate_enrolment, token)}", None

    return _ruled(Rule(authenticate, "For agents: needs an enrolment token."))(view)


def _refuse_agents(token: str) -> None:
    """Raise Forbidden for the valid token of an agent or a run, Unauthenticated for an invalid one."""
    if token.startswith("awa_"):
        raise Forbidden(f"agent {agent_api.authenticate_agent(token).agent_id} at a person's route")
    if token.startswith("awr_"):
        raise Forbidden(f"run {agent_api.authenticate_run(token).run_id} at a person's route")


def _of_agents(authenticate: Callable[[str], P], token: str) -> P:
    """What `authenticate` returns for the token. Raises Forbidden if the token is a valid one of a person."""
    try:
        return authenticate(token)
    except Unauthenticated:
        name = accounts.authenticate(token).name
    raise Forbidden(f"{name} at an agent's route")


def public(view: View) -> View:
    """Anybody. The view may still check a proof such as a signature or a password itself."""
    return _ruled(Rule(None, "Needs no token."))(view)


def _ruled(rule: Rule) -> Callable[[View], View]:
    def decorate(view: View) -> View:
        vars(view)["rule"] = rule
        if rule.authenticate is None:
            apidoc = {**getattr(view, "_apidoc", {})}
            apidoc["manual_doc"] = {**apidoc.get("manual_doc", {}), "security": []}
            vars(view)["_apidoc"] = apidoc
        return view

    return decorate


def open_blueprints(app: Flask, *names: str) -> None:
    """Mark views that need no caller as public: files, and the socket, which authenticates by its first message."""
    for endpoint, view in app.view_functions.items():
        if endpoint.partition(".")[0] in names:
            public(view)


def rule_of(app: Flask, endpoint: str) -> Rule | None:
    return getattr(app.view_functions[endpoint], "rule", None)


def check_rules(app: Flask) -> None:
    """Raise RuntimeError if an endpoint has no rule."""
    missing = sorted({rule.endpoint for rule in app.url_map.iter_rules() if rule_of(app, rule.endpoint) is None})
    if missing:
        raise RuntimeError(f"endpoints without @allow or @public: {', '.join(missing)}")


def admit(app: Flask, endpoint: str) -> str:
    """Authenticate the caller of the endpoint, or raise. Returns the name of the caller in events."""
    rule = rule_of(app, endpoint)
    if rule is None:
        raise Forbidden(f"{endpoint} has no rule")
    if rule.authenticate is None:
        return "anonymous"
    name, principal = rule.authenticate(bearer_token())
    g.principal = principal
    if isinstance(principal, Caller) and request.method not in SAFE_METHODS:
        spend(writes(), principal.user_id)
    return name


def bearer_token() -> str:
    """The token of the request. Raises Unauthenticated for none, and for several: they arrive joined by a comma."""
    match = _BEARER.fullmatch(request.environ.get("HTTP_AUTHORIZATION", ""))
    if match is None:
        raise Unauthenticated
    return match[1]


def current_caller() -> Caller:
    """The calling person; only in views with @allow."""
    return _principal(Caller)


def reauthentication() -> tuple[Callable[[], Admitted], Admitted]:
    """A function that admits the calling person again, at any later time, and what it returns now.

    It raises CallerError once the token is not accepted any more; only in views with @allow.
    """
    token, caller = bearer_token(), current_caller()
    project_id = None if caller.role_in_project is None else caller.role_in_project.project_id

    def admit() -> Admitted:
        found = accounts.authenticate(token, project_id)
        return found, found.role_in_project

    return admit, (caller, caller.role_in_project)


def current_agent() -> AgentPrincipal:
    """The calling agent; only in views with @allow_agent."""
    return _principal(AgentPrincipal)


def current_run() -> RunPrincipal:
    """The calling run; only in views with @allow_run()."""
    return _principal(RunPrincipal)


def _principal(kind: type[P]) -> P:
    principal = g.principal
    if not isinstance(principal, kind):
        raise TypeError(f"this view is not called by a {kind.__name__}")
    return principal


def init_tokens(app: Flask) -> None:
    """Set up Flask-JWT-Extended to issue tokens that common.services.people.login_tokens accepts."""
    app.config.update(
        JWT_SECRET_KEY=login_tokens.signing_key(),
        JWT_ALGORITHM=login_tokens.ALGORITHM,
        JWT_ENCODE_AUDIENCE=login_tokens.AUDIENCE,
        JWT_ENCODE_ISSUER=login_tokens.ISSUER,
        JWT_TOKEN_LOCATION=["headers"],
        JWT_COOKIE_CSRF_PROTECT=False,
    )
    JWTManager(app)


class IssuedTokens(TypedDict):
    """The tokens of a login. expires_in: seconds until access_token expires. user: its row."""

    access_token: str
    refresh_token: str
    expires_in: int
    user: object


def issue_tokens(login: accounts.OpenLogin) -> IssuedTokens:
    """Issue the access token and the refresh token of a login."""
    security = settings().security
    claims = {"sid": login.login_id, "epoch": login.user.token_epoch}
    access = create_access_token(
        identity=login.user.id,
        additional_claims=claims,
        expires_delta=timedelta(seconds=ACCESS_TOKEN_SECONDS),
    )
    refresh = create_refresh_token(
        identity=login.user.id,
        additional_claims={**claims, "jti": login.refresh_id},
        expires_delta=timedelta(seconds=security.refresh_token_seconds),
    )
    return {
        "access_token": access,
        "refresh_token": refresh,
        "expires_in": ACCESS_TOKEN_SECONDS,
        "user": login.user,
    }
