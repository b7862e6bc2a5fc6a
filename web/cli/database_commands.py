"""Commands that administer the platform directly in its database: the schema, users and tokens.

They act as the local operator: access to the database needs no password.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypedDict, TypeVar

import click

from common.errors import Misconfigured
from common.services.access import Caller
from common.services.health import schema
from common.services.paging import MOST, Page, PageQuery
from common.services.people import accounts, tokens
from common.settings import settings
from common.settings.restore_mark import require_restored
from common.states import Role
from web.cli.operators import first_administrator, operating, operator
from web.cli.terminal import Terminal

Row = TypeVar("Row")

ROLES = [role.label for role in Role]


@click.group()
@click.pass_context
def db(context: click.Context) -> None:
    """The database's schema."""
    context.with_resource(operating())


@db.command()
def upgrade() -> None:
    """Upgrade the schema. Safe to repeat.

    With AIWORKER_ADMIN_PASSWORD, create the first administrator.
    """
    require_restored(settings().store.data_dir)
    schema.upgrade()
    if settings().security.admin_password is not None:
        accounts.ensure_first_admin()
    click.echo("The schema is up to date.")


@db.command()
def status() -> None:
    """Check that the schema is this version's; fails if not."""
    operator()
    click.echo("The schema is up to date.")


@click.group()
@click.pass_context
def user(context: click.Context) -> None:
    """Users, directly in the database."""
    context.with_resource(operating())


def _given_password() -> str:
    """Asked for twice at a terminal; else the first line of standard input."""
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise Misconfigured("there is no password: give it with --password, or on standard input")
    return password


_password = click.option("--password", help="Asked for if not given; without a terminal, read from standard input.")


@user.command("add")
@click.argument("username")
@click.option("--role", type=click.Choice(ROLES), default="member", show_default=True)
@_password
def add_user(username: str, role: str, password: str | None) -> None:
    """Make a user who logs in with a password."""
    made = accounts.create_user(username, password or _given_password(), Role.of(role), by=operator())
    click.echo(f"{made.id}  {made.username}  {role}")


@user.command("list")
@click.pass_obj
def list_users(terminal: Terminal) -> None:
    """List all users with their roles."""
    terminal.rows("users", list(map(dict, _users(operator()))), ("id", "username", "role", "active"))


@user.command("password")
@click.argument("username")
@_password
def set_password(username: str, password: str | None) -> None:
    """Set a new password and end all logins of the user."""
    accounts.set_password(username, password or _given_password(), by=operator())
    click.echo(f"{username} has a new password and is logged out everywhere.")


@user.command("role")
@click.argument("username")
@click.argument("role", type=click.Choice(ROLES))
def set_role(username: str, role: str) -> None:
    """Give a user another role."""
    by = operator()
    accounts.update_user(_user(username, by)["id"], role=Role.of(role), by=by)
    click.echo(f"{username} now has the role {role}.")


@click.group()
@click.pass_context
def token(context: click.Context) -> None:
    """API tokens, directly in the database."""
    context.with_resource(operating())


@token.command("create")
@click.argument("name")
@click.option("--user", "username", help="Owner of the token; default: the first administrator.")
@click.option("--role", type=click.Choice(ROLES), help="Role of the token, at most the user's; default: the user's.")
@click.option(
    "--days",
    type=click.FloatRange(0, 3650, min_open=True),
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
        terminal.write({"token": {"id": made.row.id, "name": name, "token": made.token}})
    else:
        click.echo(made.token)


@token.command("list")
@click.option("--user", "username", help="Owner of the token; default: the first administrator.")
@click.pass_obj
def list_tokens(terminal: Terminal, username: str | None) -> None:
    """List the API tokens of a user."""
    rows = [
        {
            "id": row.id,
            "name": row.name,
            "role": Role(row.role).label,
            "expiresAt": row.expires_at and str(row.expires_at),
        }
        for row in _all_pages(partial(tokens.list_api_tokens, _owner(username)))
    ]
    terminal.rows("tokens", rows, ("id", "name", "role", "expiresAt"))


@token.command("revoke")
@click.argument("token_id", metavar="TOKEN")
@click.option("--user", "username", help="Owner of the token; default: the first administrator.")
def revoke_token(token_id: str, username: str | None) -> None:
    """Revoke the token with this id."""
    tokens.delete_api_token(token_id, by=_owner(username))
    click.echo(f"Token {token_id} is revoked.")


class FoundUser(TypedDict):
    """A user as the commands print it."""

    id: str
    username: str
    role: str
    active: bool


def _users(by: Caller) -> list[FoundUser]:
    return [
        FoundUser(id=one.id, username=one.username, role=Role(one.role).label, active=one.is_active)
        for one in _all_pages(partial(accounts.list_users, by))
    ]


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
