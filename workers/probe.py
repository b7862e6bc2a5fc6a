"""Whether a worker on this host still listens: `python -m workers.probe quick` for `quick@<host>`. For a probe.

The worker answers from its own process, also while all that it started are busy. The jobs are not loaded here, which
is what `celery inspect ping` spends its time on. Exit status 0: it answered, or Redis does not answer anybody, which a
new worker would not mend. 1: Redis answers and the worker does not.
"""

from __future__ import annotations

import socket
import sys

import redis
from kombu.exceptions import OperationalError

from common import feed
from common.broker import celery_app

ANSWER_SECONDS = 5.0


def listens(name: str) -> bool:
    """Whether the worker `<name>@<host>` answers a ping, or nobody can ask it. Waits ANSWER_SECONDS at most."""
    node = f"{name}@{socket.gethostname()}"
    try:
        feed.ping()
        return bool(celery_app().control.ping(destination=[node], timeout=ANSWER_SECONDS))
    except (redis.RedisError, OperationalError):
        return True


def main(arguments: list[str]) -> int:
    """The program. arguments: what stands before the @ in the worker's name."""
    if len(arguments) != 1:
        print("which worker? python -m workers.probe quick", file=sys.stderr)
        return 2
    if listens(arguments[0]):
        return 0
    print(f"{arguments[0]}@{socket.gethostname()} does not answer", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
