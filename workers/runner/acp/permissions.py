"""What a CLI that speaks the Agent Client Protocol is answered when it asks for a permission.

What an agent may do is decided by where it runs, so it is allowed. But a request in which several options allow it
once, and none always, is a question with answers to choose, such as Kimi Code's: nobody but people may choose one. An
action, such as OpenHands' with two ways to allow it once, can be allowed always.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from acp.schema import AllowedOutcome, DeniedOutcome, PermissionOption, RequestPermissionResponse

from common.machine.lazy_modules import lazy_module
from workers.runner.acp.user_messages import UserMessages
from workers.runner.drivers.json_lines import Json, mapping, mappings, text

if TYPE_CHECKING:
    from workers.runner.tools import mcp_server
else:
    mcp_server = lazy_module("workers.runner.tools.mcp_server")


class Permissions:
    """socket_path: of the run's tools, with which people are asked; None: nobody can be asked.

    orders: get what people say instead of choosing. When they end the turn, nothing is waited for any more.
    """

    def __init__(self, socket_path: str | None, user_input: UserMessages) -> None:
        self._socket_path = socket_path
        self._orders = user_input

    async def decide(self, call: Json, options: Sequence[PermissionOption]) -> RequestPermissionResponse:
        """Answer a request for the tool call. Waits for people where they have to choose."""
        answers = [option for option in options if option.kind == "allow_once"]
        if len(answers) < 2 or any(option.kind == "allow_always" for option in options):
            return _select(options, "allow_once", "allow_always")
        question = _question(call)
        asking = asyncio.create_task(self._ask(question, [option.name for option in answers]))
        interrupted = asyncio.create_task(self._orders.interrupted.wait())
        await asyncio.wait({asking, interrupted}, return_when=asyncio.FIRST_COMPLETED)
        interrupted.cancel()
        if not asking.done():
            asking.cancel()
            return _outcome(None)
        could_ask, said = asking.result()
        if not could_ask:
            return _select(options, "reject_once", "reject_always")
        for option in answers:
            if option.name.strip() == said.strip():
                return _outcome(option)
        self._orders.interrupt_with(f"You asked: {question}\n\n{said}")
        return _outcome(None)

    async def _ask(self, question: str, options: list[str]) -> tuple[bool, str]:
        """Whether people could be asked, and what the agent is to hear. Cancelled, it gives up the call."""
        if self._socket_path is None:
            return False, ""
        arguments: dict[str, object] = {"question": question, "options": options, "blocking": True}
        return await mcp_server.forward(self._socket_path, "ask_user_question", arguments)


def _question(call: Json) -> str:
    blocks = [text(mapping(block.get("content")).get("text")) for block in mappings(call.get("content"))]
    return "\n\n".join(block for block in blocks if block.strip()) or text(call.get("title")) or "Which one?"


def _select(options: Sequence[PermissionOption], *kinds: str) -> RequestPermissionResponse:
    """The first option of the first of the kinds that there is."""
    return _outcome(next((option for kind in kinds for option in options if option.kind == kind), None))


def _outcome(option: PermissionOption | None) -> RequestPermissionResponse:
    if option is None:
        return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
    return RequestPermissionResponse(outcome=AllowedOutcome(outcome="selected", option_id=option.option_id))
