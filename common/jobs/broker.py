"""The Celery app, configured by celeryconfig, and the messages of jobs. A lost message only costs time: the sweep sends
it again.
"""

from __future__ import annotations

import base64
import functools
import importlib
import itertools
import json
import os
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING

from common.jobs.catalogue import CATALOGUE, Queue
from common.settings import settings
from common.values.names import new_id

if TYPE_CHECKING:
    # Loading it takes a tenth of a web server's start, which only sends messages and writes them itself.
    from celery import Celery


@functools.cache
def celery_app() -> Celery:
    """This process's Celery app. Workers register the jobs on it."""
    app: Celery = importlib.import_module("celery").Celery("aiworker")
    app.config_from_object("celeryconfig")
    return app


def push_commands(job_messages: Iterable[tuple[str, str]], *, before_commit: bool = False) -> list[list[str | int]]:
    """The commands to Redis that send the ids of jobs to their queues: (kind, job id) each.

    before_commit: the transaction that enqueued them may not be committed when a worker takes the message.
    """
    return [
        # Workers take messages from the right.
        [
            "RPUSH" if is_first else "LPUSH",
            f"{settings().instance}:{queue}",
            *[message(kind, queue, job_id, before_commit=before_commit) for kind, job_id in together],
        ]
        for (queue, is_first), together in itertools.groupby(job_messages, key=_queue_of)
    ]


def length_command(queue: Queue) -> list[str | int]:
    """The command to Redis that counts the messages of a queue that nobody has taken yet."""
    return ["LLEN", f"{settings().instance}:{queue}"]


def _queue_of(job_message: tuple[str, str]) -> tuple[str, bool]:
    """The queue of a job's messages, and whether they go before those that wait."""
    known = CATALOGUE[job_message[0]]
    return known.queue.value, known.is_first


def message(kind: str, queue: str, job_id: str, *, before_commit: bool = False) -> str:
    """What Celery's `apply_async` would put on the queue, byte for byte but for its ids, in a small part of the time.

    It relies on Celery's message protocol 2, and on how kombu lays a message down in Redis:
    tests/common/jobs/test_broker.py compares the two.
    """
    arguments = f'["{job_id}", true]' if before_commit else f'["{job_id}"]'
    body = f'[{arguments}, {{}}, {{"callbacks": null, "errbacks": null, "chain": null, "chord": null}}]'
    parts = {"body": base64.b64encode(body.encode()).decode(), "job": job_id, "task": new_id(), "tag": new_id()}
    return _template(kind, queue, before_commit, os.getpid()) % parts


@functools.cache
def _template(kind: str, queue: str, before_commit: bool, pid: int) -> str:
    """A message as a format for its `body`, and the ids of its `job`, `task` and `tag`."""
    task_id = "%(task)s"
    headers: dict[str, object] = {
        "lang": "py", "task": kind, "id": task_id, "shadow": None, "eta": None, "expires": None, "group": None,
        "group_index": None, "retries": 0, "timelimit": [None, None], "root_id": task_id, "parent_id": None,
        "argsrepr": "('%(job)s', True)" if before_commit else "('%(job)s',)",
        "kwargsrepr": "{}", "origin": _origin(pid), "ignore_result": True,
        "replaced_task_nesting": 0, "stamped_headers": None, "stamps": {},
    }  # fmt: skip
    properties: dict[str, object] = {
        "correlation_id": task_id, "reply_to": "", "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": queue}, "priority": 0, "body_encoding": "base64",
        "delivery_tag": "%(tag)s",
    }  # fmt: skip
    return json.dumps(
        {
            "body": "%(body)s", "content-encoding": "utf-8",
            "content-type": "application/json", "headers": headers, "properties": properties,
        }
    )  # fmt: skip


def _origin(pid: int) -> str:
    # The message is a format: a percent sign of its own would have to be doubled.
    return f"gen{pid}@{socket.gethostname()}".replace("%", "%%")
