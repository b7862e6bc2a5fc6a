"""Commands that administer the platform directly in its database: the schema, users and tokens.

They act as the local operator: access to the database needs no password.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol, TypedDict, TypeVar

import click

from common.errors import Misconfigured
from common.services.people import accounts, tokens
from common.services.projects.provisioning import renew_repository_urls
from common.services.requests.access import Caller
from common.services.requests.paging import MOST, Page, PageQuery
from common.services.upkeep import schema
from common.settings import settings
from common.settings.private_files import require_restored
from common.values.states import Role
from web.cli.operators import first_administrator, operator, operator_session
from web.cli.short_ids import TOKENS, only_one
from web.cli.tables import SHORTEST_ID_DIGITS
from web.cli.terminal import JsonObject, Terminal, pass_terminal
from web.http.fields import iso

Row = TypeVar("Row")

LONGEST_NAME = 100
"""Of a token, in characters, as in the API."""
ROLES = [role.label for role in Role]


@click.group()
@click.pass_context
def db(context: click.Context) -> None:
    """The database's schema."""
    context.with_resource(operator_session())


@db.command()
@pass_terminal
def upgrade(terminal: Terminal) -> None:
    """Upgrade the schema. Safe to repeat.

    With AIWORKER_ADMIN_PASSWORD, create the first administrator.
    """
    require_restored(settings().store.data_dir)
    schema.upgrade()
    renew_repository_urls()
    if settings().security.admin_password is not None:
        accounts.ensure_first_admin()
    _say_current(terminal)


@db.command()
@pass_terminal
def status(terminal: Terminal) -> None:
    """Check that the schema is this version's; fails if not."""
    operator()
    _say_current(terminal)


def _say_current(terminal: Terminal) -> None:
    _say(terminal, {"schema": {"isCurrent": True}}, "The schema is up to date.")


def _say(terminal: Terminal, reply: JsonObject, words: str) -> None:
    if terminal.is_json:
        terminal.print_json(reply)
    else:
        click.echo(words)


@click.group()
@click.pass_context
def user(context: click.Context) -> None:
    """Users, directly in the database."""
    context.with_resource(operator_session())


def _given_password() -> str:
    """Asked for twice at a terminal; else the first line of standard input."""
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise Misconfigured("there is no password: give it with --password, or on standard input")
    if not _is_utf8(password):
        raise Misconfigured("the password is not UTF-8")
    return password


def _is_utf8(text: str) -> bool:
    """Whether the text can be stored: Python reads a byte that is not UTF-8 as half of a surrogate pair."""
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


class _Text(click.ParamType[str]):
    """A text of at most this many characters that the database can hold. most: None: of any length, also empty."""

    name = "text"

    def __init__(self, most: int | None = None) -> None:
        self.most = most

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not _is_utf8(value):
            self.fail("it is not UTF-8", param, ctx)
        if self.most is not None and not 0 < len(value.strip()) <= self.most:
            self.fail(f"it needs 1 to {self.most} characters", param, ctx)
        return value


TEXT = _Text()
_password = click.option(
    "--password", type=TEXT, help="Asked for if not given; without a terminal, read from standard input."
)


@user.command("add")
@click.argument("username")
@click.option("--role", type=click.Choice(ROLES), default="member", show_default=True)
@_password
@pass_terminal
def add_user(terminal: Terminal, username: str, role: str, password: str | None) -> None:
    """Make a user who logs in with a password."""
    made = accounts.create_user(username, password or _given_password(), Role.of(role), by=operator())
    _say(terminal, {"user": _shown(made)}, f"{made.id}  {made.username}  {role}")


@user.command("list")
@click.pass_obj
def list_users(terminal: Terminal) -> None:
    """List all users with their roles."""
    terminal.print_rows("users", list(map(dict, _users(operator()))), ("id", "username", "role", "active"))


@user.command("password")
@click.argument("username", type=TEXT)
@_password
@pass_terminal
def set_password(terminal: Terminal, username: str, password: str | None) -> None:
    """Set a new password and end all logins of the user."""
    changed = accounts.set_password(username, password or _given_password(), by=operator())
    words = f"{username} has a new password and is logged out everywhere."
    if not changed.is_active:
        words += " The user stays deactivated: an administrator can activate it again on the page, under Users."
    _say(terminal, {"user": _shown(changed)}, words)


@user.command("role")
@click.argument("username")
@click.argument("role", type=click.Choice(ROLES))
@pass_terminal
def set_role(terminal: Terminal, username: str, role: str) -> None:
    """Give a user another role."""
    by = operator()
    changed = accounts.update_user(_user(username, by)["id"], role=Role.of(role), by=by)
    _say(terminal, {"user": _shown(changed)}, f"{username} now has the role {role}.")


@click.group()
@click.pass_context
def token(context: click.Context) -> None:
    """API tokens, directly in the database."""
    context.with_resource(operator_session())


@token.command("create")
@click.argument("name", type=_Text(LONGEST_NAME))
@click.option("--user", "username", help="Owner of the token; default: the first administrator.")
@click.option("--role", type=click.Choice(ROLES), help="Role of the token, at most the user's; default: the user's.")
@click.option(
    "--days",
    type=click.FloatRange(0, tokens.LONGEST_DAYS, min_open=True),
    help="Days until the token expires; default and maximum: 366.",
)
@click.pass_obj
def create_token(terminal: Terminal, name: str, username: str | None, role: str | None, days: float | None) -> None:
    """Create a token and print it; it can't be shown again."""
    if days is not None and math.isnan(days):
        raise click.BadParameter("nan is not a number of days", param_hint="--days")
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    made = tokens.create_api_token(
        by=_owner(username), name=name, role=Role.of(role) if role else None, expires_at=expires_at
    )
    if terminal.is_json:
        terminal.print_json({"token": {"id": made.row.id, "name": name, "token": made.token}})
    else:
        click.echo(made.token)


@token.command("list")
@click.option("--user", "username", help="Owner of the token; default: the first administrator.")
@click.pass_obj
def list_tokens(terminal: Terminal, username: str | None) -> None:
    """List the API tokens of a user."""
    terminal.print_rows("tokens", _tokens(_owner(username)), ("id", "name", "role", "expiresAt"))


def _tokens(owner: Caller) -> list[JsonObject]:
    return [
        {
            "id": row.id,
            "name": row.name,
            "role": Role(row.role).label,
            "expiresAt": row.expires_at and iso(row.expires_at),
        }
        for row in _all_pages(partial(tokens.list_api_tokens, owner))
    ]


@token.command("revoke")
@click.argument("given", metavar="TOKEN", type=TEXT)
@click.option("--user", "username", help="Owner of the token; default: the first administrator.")
@pass_terminal
def revoke_token(terminal: Terminal, given: str, username: str | None) -> None:
    """Revoke the token with this id or its last digits."""
    owner, token_id = _owner(username), given
    if len(given) >= SHORTEST_ID_DIGITS:
        found = only_one(given, TOKENS, _tokens(owner), end=given.lower())
        token_id = given if found is None else str(found["id"])
    tokens.delete_api_token(token_id, by=owner)
    _say(terminal, {"token": {"id": token_id}}, f"Token {token_id} is revoked.")


class FoundUser(TypedDict):
    """A user as the commands print it."""

    id: str
    username: str
    role: str
    active: bool


def _users(by: Caller) -> list[FoundUser]:
    return [_shown(one) for one in _all_pages(partial(accounts.list_users, by))]


class _User(Protocol):
    """A user as the services return it."""

    @property
    def id(self) -> str: ...
    @property
    def username(self) -> str: ...
    @property
    def role(self) -> int: ...
    @property
    def is_active(self) -> bool: ...


def _shown(one: _User) -> FoundUser:
    return FoundUser(id=one.id, username=one.username, role=Role(one.role).label, active=one.is_active)


def _all_pages(read: Callable[[PageQuery], Page[Row]]) -> Iterator[Row]:
    """The items of all pages of a list."""
    page = PageQuery(MOST)
    while True:
        found = read(page)
        yield from found.items
        if found.next_cursor is None:
            return
        page = PageQuery(MOST, cursor=found.next_cursor)


def _user(username: str, by: Caller) -> FoundUser:
    for one in _users(by):
        if one["username"] == username:
            return one
    raise Misconfigured(f"there is no user {username}; see: aiworker user list")


def _owner(username: str | None) -> Caller:
    if username is None:
        return first_administrator()
    found = _user(username, operator())
    return Caller(found["id"], found["username"], Role.of(found["role"]))
