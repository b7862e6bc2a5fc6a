"""The messages that wait in Redis for a worker."""

from __future__ import annotations

import base64
import json
from typing import Any

from common import feed
from common.jobs import Queue
from common.settings import settings


def rung(queue: Queue) -> list[str]:
    """The jobs that the queue's messages are about, in no order. A test before this one may have left some."""
    texts: Any = feed.client(timeout=60).lrange(f"{settings().instance}:{queue.value}", 0, -1)
    return [json.loads(base64.b64decode(json.loads(text)["body"]))[0][0] for text in texts]
