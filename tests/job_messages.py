"""The messages that wait in Redis for a worker, and those that this process has yet to send."""

from __future__ import annotations

import base64
import json
from typing import Any

from common.events import feed
from common.jobs.announcer import announcer
from common.jobs.catalogue import Queue
from common.settings import settings
from tests.long_waits import LONG_WAIT_SECONDS


def queued_job_ids(queue: Queue) -> list[str]:
    """The jobs that the queue's messages are about, the newest first."""
    texts: Any = feed.client(timeout=60).lrange(f"{settings().instance}:{queue.value}", 0, -1)
    return [json.loads(base64.b64decode(json.loads(text)["body"]))[0][0] for text in texts]


def settle() -> None:
    """Send what is announced, and forget what is for later: the next test would get it, up to 6 s after this one."""
    assert announcer().flush(LONG_WAIT_SECONDS)
    announcer()._later.clear()
