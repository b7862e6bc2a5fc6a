"""`aiworker login`, `logout`, `whoami`, `use`: which platforms this user's commands talk to, and as whom."""

from __future__ import annotations

import os
import socket
import sys
from urllib.parse import urlsplit

import click

from common.errors import Misconfigured
from common.settings.environment import Environment
from common.settings.platform_address import read_platform_address
from web.cli.api_error import ApiError, Unanswered
from web.cli.client import Api, api_of, is_loopback, require_address
from web.cli.instances import Instance, SavedLogins, read_saved_logins, saved_logins_path, write_saved_logins
from web.cli.terminal import JsonObject, Terminal, pass_terminal

LONGEST_NAME = 100


@click.command()
@click.argument("url", required=False)
@click.option("--name", help="Name of the instance in later commands. Default: its host.")
@click.option("--user", "username", help="User name; asked for if not given.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--token-stdin", is_flag=True, help="Keep a token of yours, read from standard input.")
@pass_terminal
def login(
    terminal: Terminal, url: str | None, name: str | None, username: str | None, password_stdin: bool, token_stdin: bool
) -> None:
    """Log in to a platform; later commands use it.

    URL: its address, such as https://aiworker.example.org. Default: AIWORKER_URL, else the platform on this machine.
    The token is kept in your config folder and is yours alone to read.
    """
    if password_stdin and token_stdin:
        raise click.UsageError("--password-stdin and --token-stdin exclude each other")
    kept = read_saved_logins()
    known = kept.named(url or terminal.url or "")
    address = known[1].url if known else _address(url or terminal.url)
    chosen = name or (known[0] if known else urlsplit(address).netloc.rpartition("@")[2])
    if chosen in kept.instances and kept.instances[chosen].url != address:
        raise ApiError(f"{chosen} is the name of {kept.instances[chosen].url}; choose another with --name")
    if urlsplit(address).scheme == "http" and not is_loopback(urlsplit(address).hostname or ""):
        click.echo(f"{address} is not encrypted: others on the network can read what is sent.", err=True)
    token = _line_of_input() if token_stdin else terminal.token
    made = _with_token(address, token) if token else _with_password(address, username, is_piped=password_stdin)
    try:
        write_saved_logins(kept.with_instance(chosen, made))
    except Misconfigured:
        # Nobody could use it, or would know of it.
        _revoke(made)
        raise
    if known is not None:
        _revoke(known[1])
    _say(terminal, chosen, made, f"Logged in to {address} as {made.username}; the token is in {saved_logins_path()}.")


def _address(given: str | None) -> str:
    url = given or Environment(os.environ).text("AIWORKER_URL") or read_platform_address().internal_url
    is_typed = bool(given)
    if "://" not in url:
        require_address(f"https://{url}", is_typed=is_typed)
        url = f"http://{url}" if is_loopback(urlsplit(f"//{url}").hostname or "") else f"https://{url}"
    require_address(url, is_typed=is_typed)
    return url.rstrip("/").removesuffix("/api")


def _line_of_input() -> str:
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise click.UsageError("standard input is empty")
    return line


def _with_token(url: str, token: str) -> Instance:
    with Api(url, token) as api:
        return Instance(url, api.token(), api.call("GET", "/auth/me")["user"]["username"], None)


def _with_password(url: str, username: str | None, *, is_piped: bool) -> Instance:
    name = username or click.prompt("User", default="admin", err=True)
    password = _line_of_input() if is_piped else click.prompt("Password", hide_input=True, err=True)
    with Api(url, "none") as api:
        session = api.call("POST", "/auth/login", {"username": name, "password": password})
    with Api(url, session["accessToken"]) as api:
        token = api.call("POST", "/tokens", {"name": f"aiworker on {socket.gethostname()}"[:LONGEST_NAME]})["token"]
        # The token has a life of its own; the session has served its purpose.
        api.call("POST", "/auth/logout")
    return Instance(url, token["token"], session["user"]["username"], token["id"])


def _revoke(instance: Instance) -> None:
    """Revoke the token if `login` made it. Say so if the platform is away; one that forgot it does not matter."""
    if instance.token_id is None:
        return
    try:
        with Api(instance.url, instance.token) as api:
            api.call("DELETE", f"/tokens/{instance.token_id}")
    except Unanswered:
        click.echo(
            f"{instance.url} does not answer: the token of {instance.username} there was not revoked, and is good "
            "until it is revoked on the page, under Account.", err=True,
        )  # fmt: skip
    except ApiError:
        pass


@click.command()
@click.argument("named", metavar="[NAME]", required=False)
@click.option("--all", "is_all", is_flag=True, help="Log out of all instances.")
@pass_terminal
def logout(terminal: Terminal, named: str | None, is_all: bool) -> None:
    """Log out: revoke the token that login made, and forget it.

    NAME: name or address of the instance; default: the current one.
    """
    kept = read_saved_logins()
    names = list(kept.instances) if is_all else [_one_of(kept, named or terminal.url or kept.current)]
    for name in names:
        _revoke(kept.instances[name])
        kept = kept.without(name)
        write_saved_logins(kept)
        if not terminal.is_json:
            click.echo(f"Logged out of {name}.")
    if terminal.is_json:
        terminal.print_json({"loggedOut": names})


@click.command()
@click.argument("named", metavar="[NAME]", required=False)
@pass_terminal
def use(terminal: Terminal, named: str | None) -> None:
    """List the instances that you are logged in to, or make one of them the current one."""
    kept = read_saved_logins()
    if named is not None:
        name = _one_of(kept, named)
        write_saved_logins(kept.with_current(name))
        _say(terminal, name, kept.instances[name], f"Commands now use {name}.")
        return
    rows: list[JsonObject] = [
        {"name": name, "url": one.url, "username": one.username, "isCurrent": name == kept.current}
        for name, one in kept.instances.items()
    ]
    terminal.print_rows("instances", rows, ("name", "url", "username", "isCurrent"))


def _one_of(kept: SavedLogins, named: str | None) -> str:
    found = kept.named(named) if named else None
    if found is None:
        known = f"choose one of: {', '.join(kept.instances)}" if kept.instances else "log in with: aiworker login URL"
        raise ApiError(f"you are not logged in{f' to {named}' if named else ''}; {known}")
    return found[0]


@click.command()
@pass_terminal
def whoami(terminal: Terminal) -> None:
    """Show which platform commands talk to, as whom, and why."""
    with api_of(terminal) as api:
        user = api.call("GET", "/auth/me")["user"]
        if terminal.is_json:
            terminal.print_json({"user": user, "url": api.url, "tokenFrom": api.token_from})
        else:
            click.echo(f"{user['username']} ({user['role']}) at {api.url}, with {api.token_from}")


def _say(terminal: Terminal, name: str, instance: Instance, words: str) -> None:
    if terminal.is_json:
        terminal.print_json({"instance": {"name": name, "url": instance.url, "username": instance.username}})
    else:
        click.echo(words)
