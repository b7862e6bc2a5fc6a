"""The lines that our client of the Agent Client Protocol reads on its standard input, after the first."""

from __future__ import annotations

import asyncio
import json
import sys
import threading


class UserMessages:
    """What people say while the agent works. messages: the prompts of further turns; None: no more will come.

    interrupted: set to end the present turn. is_in_turn: set while the agent works.
    """

    def __init__(self) -> None:
        self.messages: asyncio.Queue[str | None] = asyncio.Queue()
        self.interrupted = asyncio.Event()
        self.is_in_turn = False

    def start_reading(self) -> None:
        loop = asyncio.get_running_loop()

        def read() -> None:
            for line in sys.stdin:
                loop.call_soon_threadsafe(self._take, line)
            loop.call_soon_threadsafe(self.messages.put_nowait, None)

        threading.Thread(target=read, daemon=True).start()

    def interrupt_with(self, words: str) -> None:
        """End the present turn, and begin the next one with these words."""
        self.messages.put_nowait(words)
        self.interrupted.set()

    def _take(self, line: str) -> None:
        try:
            order = json.loads(line)
        except ValueError:
            return
        if isinstance(order, dict) and isinstance(order.get("message"), str):
            self.messages.put_nowait(order["message"])
        elif isinstance(order, dict) and order.get("interrupt") and (self.is_in_turn or not self.messages.empty()):
            # Else the turn has just ended that it was for, and it must not end the next one.
            self.interrupted.set()
