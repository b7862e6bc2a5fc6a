"""How commands print. Every command has it, so it imports little."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

Fields = Sequence[str]

JsonObject = dict[str, Any]
"""An object in a reply of the API, used as the server wrote it."""


class Terminal:
    """The options before the command: which platform to call (None: see web/cli/client.py), and how to print."""

    def __init__(self, url: str | None, token: str | None, *, is_json: bool) -> None:
        self.url, self.token, self.is_json = url, token, is_json

    def rows(self, plural: str, rows: list[JsonObject], shown: Fields) -> None:
        """Print a list: one line per row, or one JSON object."""
        if self.is_json:
            self.write({plural: rows})
        else:
            for row in rows:
                click.echo(_line(row, shown))

    def one(self, reply: JsonObject, key: str, shown: Fields | None = None) -> None:
        """Print one object: the reply as JSON, or the shown fields in one line, or one line per field."""
        if self.is_json:
            self.write(reply)
        elif shown is not None:
            click.echo(_line(reply[key], shown))
        else:
            for name, value in reply[key].items():
                if value not in (None, "", [], {}):
                    click.echo(f"{name}: {cell(_said(name, value))}")

    def write(self, value: JsonObject) -> None:
        click.echo(json.dumps(value, ensure_ascii=False, indent=None if not sys.stdout.isatty() else 2))


def _line(row: JsonObject, shown: Fields) -> str:
    """The shown fields. A task that is not parked has no column for it."""
    return "  ".join(cell(_said(name, row.get(name))) for name in shown if name != "parked" or row.get(name))


def _said(name: str, value: object) -> object:
    return parking_of(value) if name == "parked" and isinstance(value, dict) else value


def parking_of(parked: JsonObject) -> str:
    """Why a task waits, in words: `parked until 14:05: …`, in the time zone of this machine."""
    if parked["until"] is None:
        return f"parked: {parked['reason']}"
    until, now = datetime.fromisoformat(parked["until"]).astimezone(), datetime.now().astimezone()
    shown = f"{until:%H:%M}" if until.date() == now.date() else f"{until:%Y-%m-%d %H:%M}"
    return f"parked until {shown}: {parked['reason']}"


def cell(value: object) -> str:
    """A value as one part of a line."""
    text = "-" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # Text from agents and other users may contain control sequences: the terminal must not execute them.
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "?" for sign in text)


pass_terminal = click.make_pass_decorator(Terminal)
