"""Says every few seconds that this process takes the heartbeats of agents: while none does, no agent is given up."""

from __future__ import annotations

import threading
import time

import structlog

from common.errors import Busy
from common.services.activity.heartbeat_reception import SIGN_SECONDS, note_heartbeats_taken

log = structlog.get_logger()


def begin() -> None:
    """Give signs until this process ends."""
    threading.Thread(target=_give_signs, name="hearing", daemon=True).start()


def _give_signs() -> None:
    while True:
        try:
            note_heartbeats_taken()
        except Busy:
            log.debug("no sign could be given; the next one is soon")
        except Exception:
            # Without signs, an agent that is gone would keep its run for as long as this process serves alone.
            log.exception("a sign could not be given")
        time.sleep(SIGN_SECONDS)
