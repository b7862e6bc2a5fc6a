"""`aiworker watch`: events as they happen, one line each, over the platform's WebSocket."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator

import click
import simple_websocket

from web.cli.api_error import ApiError
from web.cli.client import Api, api_of
from web.cli.tables import in_words, short_id
from web.cli.terminal import JsonObject, Terminal, as_json, cell, parking_of, pass_terminal, require_reader, time_of
from web.cli.web_socket import ANSWER_SECONDS, WebSocket

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 15.0
READER_SECONDS = 1.0
"""How often a command that waits for events looks whether its output is still read."""

Message = JsonObject


@click.command()
@click.option("--project", "named", help="Id, name or slug of the project; default: all that you may see.")
@click.option("--count", type=click.IntRange(1), help="Stop after this number of events.")
@pass_terminal
def watch(terminal: Terminal, named: str | None, count: int | None) -> None:
    """Print events as they happen, one line each."""
    with api_of(terminal) as api:
        project_id = api.project(named)["id"] if named else None
        for number, message in enumerate(follow(api, project_id), 1):
            if terminal.is_json:
                click.echo(as_json(message))
            else:
                terminal.print_line(_event(api, message, terminal))
            sys.stdout.flush()
            if number == count:
                return


def _event(api: Api, message: JsonObject, terminal: Terminal) -> str:
    """The event in one line. One that says that a task was parked, or goes on, also says what the task is now."""
    about = message.get("data", {})
    now = ""
    if "parked" in about.get("changed", ()):
        with contextlib.suppress(ApiError):  # deleted meanwhile
            found = api.call("GET", f"/tasks/{about['taskId']}")["task"]
            now = parking_of(found["parked"]) if found["parked"] else f"not parked: {found['phase'] or found['state']}"
    if not terminal.is_screen:
        return cell(f"{line_of(message)}  {now}".rstrip())
    facts = (
        f"{in_words(name)} {terminal.coloured_state(cell(short_id(_word(value))))}"
        for name, value in about.items()
        if value is not None and name not in {"projectId", "seq"}
    )
    at = time_of(message["at"], has_seconds=True) if "at" in message else "-"
    return f"{at}  {terminal.styled(message['event'], bold=True)}  {', '.join((*facts, *([cell(now)] if now else [])))}"


def follow(api: Api, project_id: str | None, *, is_told_of_starts: bool = False) -> Iterator[Message]:
    """The events that the caller may see, of one project or of all. A lost connection is made again.

    project_id: with it, events during a lost connection are delivered afterwards; without it, they are lost.
    is_told_of_starts: yield `subscribed` too, from which on nothing is missed. Raises ApiError if the token is refused
    or the first connection fails, and BrokenPipeError once nobody reads the output.
    """
    # A refused token or an unreachable platform is an error at the start; only later connections are tried again.
    api.call("GET", "/auth/me")
    after_seq: int | None = None
    wait = FIRST_WAIT_SECONDS
    was_connected = False
    while True:
        failed: Exception | None = None
        try:
            for message in _connected(api, project_id, after_seq):
                was_connected, wait = True, FIRST_WAIT_SECONDS
                after_seq = message["seq"] if project_id is not None and "seq" in message else after_seq
                if message["event"] != "subscribed" or is_told_of_starts:
                    yield message
        except simple_websocket.ConnectionClosed:
            pass
        except (simple_websocket.ConnectionError, OSError) as error:
            failed = error
        # It ended a connection above, where a lost one may raise the same error.
        require_reader()
        if failed is not None and not was_connected:
            raise ApiError(
                f"{api.url} answers, but not its WebSocket at /ws: {failed}; does a proxy in front of it pass that on?"
            ) from failed
        time.sleep(wait)
        wait = min(wait * 2, LONGEST_WAIT_SECONDS)


def _connected(api: Api, project_id: str | None, after_seq: int | None) -> Iterator[Message]:
    socket = WebSocket(api.url)
    try:
        _send(socket, "auth", token=api.token())
        _expect_authenticated(socket, api)
        asked: dict[str, str | int | None] = {"projectId": project_id, "afterSeq": after_seq}
        _send(socket, "subscribe", **{name: value for name, value in asked.items() if value is not None})
        while True:
            while (received := socket.receive(timeout=READER_SECONDS)) is None:
                require_reader()
            message = json.loads(received)
            if message["event"] in {"auth:error", "error"}:
                raise ApiError(f"the platform refused: {message.get('data', {}).get('message', message['event'])}")
            yield message
    finally:
        socket.leave()


def _send(socket: WebSocket, event: str, **body: str | int) -> None:
    socket.send(json.dumps({"event": event, "data": body}))


def _expect_authenticated(socket: WebSocket, api: Api) -> None:
    answer = socket.receive(timeout=ANSWER_SECONDS)
    if answer is None:
        raise simple_websocket.ConnectionClosed
    if json.loads(answer)["event"] != "auth:ok":
        raise ApiError(f"the platform refused the token; {api.remedy_of_401()}")


def line_of(message: Message) -> str:
    """An event in one line: time, name and fields."""
    facts = " ".join(f"{name}={_word(value)}" for name, value in message.get("data", {}).items() if value is not None)
    return f"{message.get('at', '-')} {message['event']} {facts}".rstrip()


def _word(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if text and not any(sign.isspace() for sign in text) else json.dumps(text, ensure_ascii=False)
