"""Commands that work on the machine itself: start the platform and administer it.

They act as the local operator: access to the database needs no password.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from typing import TypedDict

import click

from common import announcer
from common.errors import Misconfigured
from common.names import new_request_id
from common.services.access import Caller, acting
from common.services.health import schema
from common.services.paging import MOST, PageQuery
from common.services.people import accounts, tokens
from common.settings import settings
from common.states import Role
from web.cli import commands
from web.cli.client import first_administrator, operator
from web.doctor.checks import examine
from web.launcher.up import UpOptions, run_up

PARTING_SECONDS = 10.0
"""How long a command may take, after all it does, to tell other processes: more than a frozen Redis costs."""

ROLES = [role.label for role in Role]


def begin(context: click.Context, url: str | None, token: str | None, *, is_json: bool) -> None:
    """What every command needs: the terminal, and a local operator in whose name events are recorded.

    Connections are closed when the context ends: see common.announcer.close.
    """
    context.call_on_close(lambda: announcer.close(PARTING_SECONDS))
    context.with_resource(acting("operator", new_request_id()))
    context.obj = commands.Terminal(url, token, is_json=is_json)


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Web port. Default: AIWORKER_PORT, else 3000.")
@click.option(
    "--data-dir", type=click.Path(file_okay=False), help="Data directory. Default: AIWORKER_DATA_DIR, else .aiworker."
)
@click.option(
    "--agents",
    type=click.IntRange(0, 64),
    default=1,
    envvar="AIWORKER_AGENTS",
    help="Number of local agents. Default: AIWORKER_AGENTS, else 1.",
)
@click.option(
    "--slots",
    type=click.IntRange(1, 100),
    default=1,
    envvar="AIWORKER_AGENT_SLOTS",
    help="Runs of each local agent at the same time. Default: AIWORKER_AGENT_SLOTS, else 1.",
)
@click.option(
    "--flower/--no-flower",
    default=True,
    envvar="AIWORKER_FLOWER",
    help="Whether to run Flower. Default: AIWORKER_FLOWER, else yes.",
)
@click.option(
    "--install-drivers/--no-install-drivers",
    default=True,
    envvar="AIWORKER_INSTALL_DRIVERS",
    help="Whether to install the CLI of a model whose key is set. Default: AIWORKER_INSTALL_DRIVERS, else yes.",
)
@click.option(
    "--install-sandbox/--no-install-sandbox",
    default=True,
    envvar="AIWORKER_INSTALL_SANDBOX",
    help="Whether root installs bubblewrap and slirp4netns. Default: AIWORKER_INSTALL_SANDBOX, else yes.",
)
@click.pass_context
def up(
    context: click.Context,
    port: int | None,
    data_dir: str | None,
    agents: int,
    slots: int,
    flower: bool,
    install_drivers: bool,
    install_sandbox: bool,
) -> None:
    """Run the whole platform in the foreground, until Ctrl-C."""
    if port is not None:
        os.environ["AIWORKER_PORT"] = str(port)
    if data_dir is not None:
        os.environ["AIWORKER_DATA_DIR"] = data_dir
    settings.cache_clear()
    context.exit(run_up(settings(), UpOptions(agents, slots, flower, install_drivers, install_sandbox)))


@click.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def agent(arguments: tuple[str, ...]) -> None:
    """Run an agent on this machine; see `aiworker agent --help`."""
    os.execv(sys.executable, [sys.executable, "-m", "workers.runner", *arguments])  # noqa: S606 (that is its purpose)


@click.command()
@click.pass_context
def doctor(context: click.Context) -> None:
    """Check the installation and print a remedy for each problem."""
    findings = list(examine())
    if context.obj.is_json:
        context.obj.write({"findings": [vars(finding) for finding in findings]})
    else:
        for finding in findings:
            click.echo(f"{finding.status:<5} {finding.part:<9} {finding.says}")
    context.exit(int(any(finding.status == "fail" for finding in findings)))


@click.group()
def db() -> None:
    """The database's schema."""


@db.command()
def upgrade() -> None:
    """Upgrade the schema; with AIWORKER_ADMIN_PASSWORD, create the first administrator. Safe to repeat."""
    schema.upgrade()
    if settings().security.admin_password is not None:
        accounts.ensure_first_admin()
    click.echo("The schema is up to date.")


@db.command()
def status() -> None:
    """Check that the schema is this version's; exits with 1 if not."""
    operator()
    click.echo("The schema is up to date.")


@click.group()
def user() -> None:
    """Users, directly in the database."""


@user.command("add")
@click.argument("username")
@click.option("--role", type=click.Choice(ROLES), default="member", show_default=True)
@click.password_option(help="Asked for if not given.")
def add_user(username: str, role: str, password: str) -> None:
    made = accounts.create_user(username, password, Role.of(role), by=operator())
    click.echo(f"{made.id}  {made.username}  {role}")


@user.command("list")
@click.pass_obj
def list_users(terminal: commands.Terminal) -> None:
    terminal.rows("users", list(map(dict, _users(operator()))), ("id", "username", "role", "active"))


@user.command("password")
@click.argument("username")
@click.password_option(help="Asked for if not given.")
def set_password(username: str, password: str) -> None:
    """Set a new password and end all logins of the user."""
    accounts.set_password(username, password, by=operator())
    click.echo(f"{username} has a new password and is logged out everywhere.")


@user.command("role")
@click.argument("username")
@click.argument("role", type=click.Choice(ROLES))
def set_role(username: str, role: str) -> None:
    by = operator()
    accounts.update_user(_user(username, by)["id"], role=Role.of(role), by=by)
    click.echo(f"{username} now has the role {role}.")


@click.group()
def token() -> None:
    """API tokens, directly in the database."""


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
def create_token(
    terminal: commands.Terminal, name: str, username: str | None, role: str | None, days: float | None
) -> None:
    """Create a token and print it; it can't be shown again."""
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
def list_tokens(terminal: commands.Terminal, username: str | None) -> None:
    rows = [
        {
            "id": row.id,
            "name": row.name,
            "role": Role(row.role).label,
            "expiresAt": row.expires_at and str(row.expires_at),
        }
        for row in tokens.list_api_tokens(_owner(username), PageQuery(MOST)).items
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
    found: list[FoundUser] = []
    page = PageQuery(MOST)
    while True:
        some = accounts.list_users(by, page)
        found += [
            FoundUser(id=one.id, username=one.username, role=Role(one.role).label, active=one.is_active)
            for one in some.items
        ]
        if some.next_cursor is None:
            return found
        page = PageQuery(MOST, cursor=some.next_cursor)


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
