"""How commands print. Every command has it, so it imports little.

On a terminal: tables, short ids, colours. Into a pipe or a file: one plain line per row with whole ids. With --json:
what the API answered.
"""

from __future__ import annotations

import io
import json
import os
import select
import shutil
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

from web.cli.api_error import ApiError
from web.cli.tables import COLOUR_OF, in_words, short_id, table

Fields = Sequence[str]

JsonObject = dict[str, Any]
"""An object in a reply of the API, used as the server wrote it."""


class Terminal:
    """The options before the command: which platform to call (None: see web/cli/client.py), and how to print."""

    def __init__(self, url: str | None, token: str | None, *, is_json: bool) -> None:
        self.url, self.token, self.is_json = url, token, is_json

    @property
    def is_screen(self) -> bool:
        """Whether a person reads: the output goes to a terminal and is not JSON."""
        return not self.is_json and sys.stdout.isatty()

    def print_rows(self, plural: str, rows: list[JsonObject], shown: Fields, *, most: int | None = None) -> None:
        """Print a list: a table or one line per row, or one JSON object.

        most: the limit of the list; a person is told if there may be more.
        """
        if self.is_json:
            self.print_json({plural: rows})
        elif not self.is_screen:
            for row in rows:
                self.print_line(_line(row, shown))
        elif not rows:
            self.print_line(f"No {in_words(plural)}.")
        else:
            cells = [[_short_cell(name, row.get(name)) for name in shown] for row in rows]
            for line in table(cells, shown, shutil.get_terminal_size().columns):
                self.print_line(line)
            if len(rows) == most:
                told = "This is the newest one" if most == 1 else f"These are the newest {most}"
                click.echo(f"{told}; see more with --limit.", err=True)

    def print_object(self, reply: JsonObject, key: str, shown: Fields | None = None) -> None:
        """Print one object: the reply as JSON, or the shown fields in one line, or one line per field."""
        if self.is_json:
            self.print_json(reply)
        elif shown is not None:
            self.print_line(self._short_line(reply[key], shown) if self.is_screen else _line(reply[key], shown))
        else:
            for name, value in reply[key].items():
                if value not in (None, "", [], {}):
                    self.print_line(f"{self.styled(f'{name}:', bold=True)} {cell(_said(name, value))}")

    def _short_line(self, row: JsonObject, shown: Fields) -> str:
        cells = [_short_cell(name, row.get(name)) for name in shown]
        return "  ".join(self.coloured_state(text) for text in cells if text)

    def print_line(self, line: str = "") -> None:
        """Print a line for people. Colours are left out where there is no terminal, and with NO_COLOR."""
        click.echo(line if has_colour() else click.unstyle(line))

    def styled(self, text: str, *, fg: str | None = None, bold: bool = False) -> str:
        return click.style(text, fg=fg, bold=bold or None) if has_colour() else text

    def coloured_state(self, text: str) -> str:
        """A state in its colour."""
        return self.styled(text, fg=COLOUR_OF[text]) if text in COLOUR_OF else text

    def print_json(self, value: JsonObject) -> None:
        click.echo(as_json(value, indent=None if not sys.stdout.isatty() else 2))

    def confirm(self, question: str) -> None:
        """Ask a person. Raises ApiError if the answer is no."""
        if not click.confirm(question, err=True):
            raise ApiError("nothing was done")


def as_json(value: JsonObject, *, indent: int | None = None) -> str:
    """JSON for the standard output. Characters are escaped where its encoding may not have them."""
    is_unicode = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")
    return json.dumps(value, ensure_ascii=not is_unicode, indent=indent)


def has_colour() -> bool:
    """Whether the output may be coloured: https://no-color.org."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def require_reader() -> None:
    """Raise BrokenPipeError if nobody reads the output any more, as after `| head -1`.

    For a command that waits: Python itself notices only when it writes.
    """
    output = select.poll()
    try:
        output.register(sys.stdout.fileno(), select.POLLOUT)
    except io.UnsupportedOperation:
        # It is kept in memory.
        return
    if any(event & (select.POLLERR | select.POLLHUP) for _file, event in output.poll(0)):
        raise BrokenPipeError


def _short_cell(name: str, value: object) -> str:
    """A value in one line; empty if there is none."""
    if value is None or value is False:
        return ""
    if name.endswith("Sha") and isinstance(value, str):
        return cell(value[:12])
    if name.endswith("At") and isinstance(value, str):
        return time_of(value)
    said = "yes" if value is True else _said(name, value)
    return short_id(" ".join(cell(said).split()))


def _line(row: JsonObject, shown: Fields) -> str:
    """The shown fields. A task that is not parked has no column for it."""
    return "  ".join(cell(_said(name, row.get(name))) for name in shown if name != "parked" or row.get(name))


def _said(name: str, value: object) -> object:
    return parking_of(value) if name == "parked" and isinstance(value, dict) else value


def parking_of(parked: JsonObject) -> str:
    """Why a task waits, in words: `parked until 14:05: …`, in the time zone of this machine."""
    if parked["until"] is None:
        return f"parked: {parked['reason']}"
    return f"parked until {time_of(parked['until'])}: {parked['reason']}"


def time_of(at: str, *, has_seconds: bool = False) -> str:
    """A time of the API in this machine's time zone: `14:05` if it is today, else with the day."""
    then, now = datetime.fromisoformat(at).astimezone(), datetime.now().astimezone()
    clock = f"{then:%H:%M:%S}" if has_seconds else f"{then:%H:%M}"
    return clock if then.date() == now.date() else f"{then:%Y-%m-%d} {clock}"


def cell(value: object) -> str:
    """A value as one part of a line."""
    text = "-" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # Text from agents and other users may contain control sequences: the terminal must not execute them.
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "?" for sign in text)


pass_terminal = click.make_pass_decorator(Terminal)
