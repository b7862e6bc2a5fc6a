"""`aiworker …`: start the platform, look after it, and use it from a terminal.

What speaks to the API is in web/cli/commands.py. Here is what works on the machine itself, in the local operator's
name: whoever can read the database needs no password. Every error is one line with its remedy, and the exit status 1.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from common.errors import Busy, CallerError, Misconfigured
from common.names import new_request_id
from common.services.access import Caller, acting
from common.services.health import schema
from common.services.paging import MOST, PageQuery
from common.services.people import accounts, tokens
from common.settings import settings
from common.states import Role
from web import VERSION
from web.cli import commands
from web.cli.client import ApiError, first_administrator, operator
from web.doctor.checks import examine
from web.launcher.up import run_up

ROLES = [role.label for role in Role]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--url", help="The platform's address. AIWORKER_URL; this machine's own without it.")
@click.option("--token", help="An API token. AIWORKER_TOKEN; on the platform's machine none is needed.")
@click.option("--json", "is_json", is_flag=True, help="Answer in JSON.")
@click.version_option(VERSION)
@click.pass_context
def cli(context: click.Context, url: str | None, token: str | None, is_json: bool) -> None:
    """AiWorker, a self-hosted control plane for AI coding agents."""
    context.obj = commands.Session(url, token, is_json=is_json)


cli.add_command(commands.project)
cli.add_command(commands.task)
cli.add_command(commands.group)
cli.add_command(commands.watch)


@cli.command()
@click.option("--port", type=click.IntRange(1, 65535), help="AIWORKER_PORT; 3000 without it.")
@click.option("--data-dir", type=click.Path(file_okay=False), help="AIWORKER_DATA_DIR; .aiworker without it.")
@click.option("--agents", type=click.IntRange(0, 64), default=1, envvar="AIWORKER_AGENTS", help="AIWORKER_AGENTS; 1.")
@click.option("--flower/--no-flower", default=True, envvar="AIWORKER_FLOWER", help="AIWORKER_FLOWER=0: without it.")
@click.pass_context
def up(context: click.Context, port: int | None, data_dir: str | None, agents: int, flower: bool) -> None:
    """Run the whole platform in the foreground, until Ctrl-C."""
    if port is not None:
        os.environ["AIWORKER_PORT"] = str(port)
    if data_dir is not None:
        os.environ["AIWORKER_DATA_DIR"] = data_dir
    settings.cache_clear()
    context.exit(run_up(settings(), agents=agents, has_flower=flower))


@cli.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def agent(arguments: tuple[str, ...]) -> None:
    """Run an agent on this machine; `aiworker agent --help` says how."""
    os.execv(sys.executable, [sys.executable, "-m", "workers.runner", *arguments])  # noqa: S606 (that is its purpose)


@cli.command()
@click.pass_context
def doctor(context: click.Context) -> None:
    """Say what is configured, reachable or missing, and the remedy."""
    findings = list(examine())
    if context.obj.is_json:
        context.obj.write({"findings": [vars(finding) for finding in findings]})
    else:
        for finding in findings:
            click.echo(f"{finding.status:<5} {finding.part:<9} {finding.says}")
    context.exit(int(any(finding.status == "fail" for finding in findings)))


@cli.group()
def db() -> None:
    """The database's schema."""


@db.command()
def upgrade() -> None:
    """Bring the schema up to date; with AIWORKER_ADMIN_PASSWORD, make the first administrator. Safe to repeat."""
    schema.upgrade()
    if settings().security.admin_password is not None:
        accounts.ensure_first_admin()
    click.echo("The schema is up to date.")


@db.command()
def status() -> None:
    """Whether the schema is this version's; 1 where it isn't."""
    schema.require_current()
    click.echo("The schema is up to date.")


@cli.group()
def user() -> None:
    """People who may log in; directly on the database."""


@user.command("add")
@click.argument("username")
@click.option("--role", type=click.Choice(ROLES), default="member", show_default=True)
@click.password_option(help="Asked for without it.")
def add_user(username: str, role: str, password: str) -> None:
    made = accounts.create_user(username, password, Role.of(role), by=operator())
    click.echo(f"{made.id}  {made.username}  {role}")


@user.command("list")
@click.pass_obj
def list_users(session: commands.Session) -> None:
    rows = [
        {"id": one.id, "username": one.username, "role": Role(one.role).label, "active": one.is_active}
        for one in _users(operator())
    ]
    session.rows("users", rows, ("id", "username", "role", "active"))


@user.command("password")
@click.argument("username")
@click.password_option(help="Asked for without it.")
def set_password(username: str, password: str) -> None:
    """Set a new password; it ends every login of theirs."""
    accounts.set_password(username, password, by=operator())
    click.echo(f"{username} has a new password, and is logged out everywhere.")


@user.command("role")
@click.argument("username")
@click.argument("role", type=click.Choice(ROLES))
def set_role(username: str, role: str) -> None:
    by = operator()
    accounts.update_user(_user(username, by).id, role=Role.of(role), by=by)
    click.echo(f"{username} is {role} now.")


@cli.group()
def token() -> None:
    """API tokens; directly on the database."""


@token.command("create")
@click.argument("name")
@click.option("--user", "username", help="Whose; the first administrator's without it.")
@click.option("--role", type=click.Choice(ROLES), help="At most the user's, which it is without this.")
@click.option("--days", type=click.FloatRange(0, 3650, min_open=True), help="How long it is good; for ever without it.")
@click.pass_obj
def create_token(
    session: commands.Session, name: str, username: str | None, role: str | None, days: float | None
) -> None:
    """Make a token and show it, this once."""
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    made = tokens.create_api_token(
        by=_owner(username), name=name, role=Role.of(role) if role else None, expires_at=expires_at
    )
    if session.is_json:
        session.write({"token": {"id": made.row.id, "name": name, "token": made.token}})
    else:
        click.echo(made.token)


@token.command("list")
@click.option("--user", "username", help="Whose; the first administrator's without it.")
@click.pass_obj
def list_tokens(session: commands.Session, username: str | None) -> None:
    rows = [
        {
            "id": row.id,
            "name": row.name,
            "role": Role(row.role).label,
            "expiresAt": row.expires_at and str(row.expires_at),
        }
        for row in tokens.list_api_tokens(_owner(username), PageQuery(MOST)).items
    ]
    session.rows("tokens", rows, ("id", "name", "role", "expiresAt"))


@token.command("revoke")
@click.argument("token_id", metavar="TOKEN")
@click.option("--user", "username", help="Whose; the first administrator's without it.")
def revoke_token(token_id: str, username: str | None) -> None:
    """Refuse the token from now on, by its id."""
    tokens.delete_api_token(token_id, by=_owner(username))
    click.echo(f"{token_id} is revoked.")


def _users(by: Caller) -> list[Any]:
    found: list[Any] = []
    page = PageQuery(MOST)
    while True:
        some = accounts.list_users(by, page)
        found += some.items
        if some.next_cursor is None:
            return found
        page = PageQuery(MOST, cursor=some.next_cursor)


def _user(username: str, by: Caller) -> Any:
    for one in _users(by):
        if one.username == username:
            return one
    raise Misconfigured(f"there is no user {username}; see: aiworker user list")


def _owner(username: str | None) -> Caller:
    if username is None:
        return first_administrator()
    found = _user(username, operator())
    return Caller(found.id, found.username, Role(found.role))


def main() -> None:
    """The program. Never a traceback for what a person can put right."""
    try:
        with acting("operator", new_request_id()):
            code = cli.main(prog_name="aiworker", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read the output has gone, as `head` does: nothing is left to be said, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (Misconfigured, ApiError, CallerError) as error:
        click.echo(f"aiworker: {error}", err=True)
        sys.exit(1)
    except Busy as error:
        click.echo(f"aiworker: {error}; try again in a moment, or run: aiworker doctor", err=True)
        sys.exit(1)
