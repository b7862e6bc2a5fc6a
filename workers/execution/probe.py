"""Liveness probe of a worker on this host: `python -m workers.execution.probe quick` pings `quick@<host>`.

The worker's main process answers, even if all its child processes are busy. Faster than `celery inspect ping`, because
no jobs are loaded here. Exit status 0: the worker answered, or Redis does not answer (restarting the worker would not
help then). 1: Redis answers and the worker does not.
"""

from __future__ import annotations

import socket
import sys

import redis
from kombu.exceptions import OperationalError

from common.events import feed
from common.jobs.broker import celery_app

ANSWER_SECONDS = 5.0


def listens(name: str) -> bool:
    """Whether the worker `<name>@<host>` answers a ping; True if Redis is unavailable. Waits at most ANSWER_SECONDS."""
    node = f"{name}@{socket.gethostname()}"
    try:
        feed.ping()
        return bool(celery_app().control.ping(destination=[node], timeout=ANSWER_SECONDS))
    except (redis.RedisError, OperationalError):
        return True


def main(arguments: list[str]) -> int:
    """Run the probe. arguments: the part of the worker's name before the @."""
    if len(arguments) != 1:
        print("usage: python -m workers.execution.probe <name>, such as quick", file=sys.stderr)
        return 2
    if listens(arguments[0]):
        return 0
    print(f"{arguments[0]}@{socket.gethostname()} does not answer", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
