"""Whether AiWorker can use a Redis or Valkey server. Reads INFO and one setting, and changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import cast

import redis

from common.events import feed
from common.values.finding import Finding

PART = "redis"
OLDEST = (6, 2)
ANSWER_SECONDS = 3.0


def examine_redis(*, is_ours: bool) -> Iterator[Finding]:
    """The findings. is_ours: it is the embedded server, which stores nothing on purpose.

    Raises redis.RedisError if it does not answer.
    """
    client = feed.client(timeout=ANSWER_SECONDS)
    try:
        server_info = cast("Mapping[str, object]", client.info())
    except redis.exceptions.NoPermissionError:
        yield Finding("warn", PART, "INFO is not allowed, so memory and persistence can't be checked; allow it: +info")
        return
    yield from judge(server_info)
    if not is_ours and not server_info.get("aof_enabled"):
        yield _persistence(client)


def judge(server_info: Mapping[str, object]) -> Iterator[Finding]:
    """The findings of an answer to INFO."""
    name = str(server_info.get("valkey_version") or server_info.get("redis_version") or "unknown")
    found = re.match(r"(\d+)\.(\d+)", name)
    if found is None or (int(found[1]), int(found[2])) < OLDEST:
        yield Finding("fail", PART, f"version {name} is too old; update it to 6.2 or newer")
    else:
        yield Finding("ok", PART, f"version {name}")
    if server_info.get("role") == "slave":
        yield Finding("fail", PART, "it is a replica and can't be written; set AIWORKER_REDIS_URL to the primary")
    policy = server_info.get("maxmemory_policy", "unknown")
    if policy != "noeviction":
        says = f"maxmemory-policy is {policy}: when full, it drops messages, and their work is delayed"
        yield Finding("warn", PART, f"{says}; set it to noeviction")
    else:
        yield Finding("ok", PART, "maxmemory-policy is noeviction")


def _persistence(client: redis.Redis) -> Finding:
    try:
        save = cast("Mapping[str, str]", client.config_get("save")).get("save")
    except redis.ResponseError:
        return Finding("warn", PART, "persistence can't be checked (CONFIG is not allowed)")
    if save:
        return Finding("ok", PART, "it stores snapshots, which survive a restart")
    says = "it stores nothing: after a restart, queued work is delayed until the database sends it again"
    return Finding("warn", PART, f"{says}; set appendonly yes, or accept the delay")
