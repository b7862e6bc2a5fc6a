"""Whether a Redis or Valkey is one that AiWorker can use. Only looks: it asks for INFO and one setting."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

import redis

from common import feed
from common.findings import Finding

PART = "redis"
OLDEST = (6, 2)
ANSWER_SECONDS = 3.0


def examine_redis(*, is_ours: bool) -> Iterator[Finding]:
    """One finding a matter. is_ours: it is the embedded one, which keeps nothing on purpose.

    Raises redis.RedisError where it does not answer.
    """
    client = feed.client(timeout=ANSWER_SECONDS)
    try:
        said = cast("Mapping[str, Any]", client.info())
    except redis.exceptions.NoPermissionError:
        yield Finding("warn", PART, "INFO is not allowed, so its memory and keeping can't be seen; GRANT it: +info")
        return
    yield from judge(said)
    if not is_ours and not said.get("aof_enabled"):
        yield _keeping(client)


def judge(said: Mapping[str, Any]) -> Iterator[Finding]:
    """What the answer to INFO means."""
    name = str(said.get("valkey_version") or said.get("redis_version") or "unknown")
    found = re.match(r"(\d+)\.(\d+)", name)
    if found is None or (int(found[1]), int(found[2])) < OLDEST:
        yield Finding("fail", PART, f"version {name} is too old; update it to 6.2 or newer")
    else:
        yield Finding("ok", PART, f"version {name}")
    if said.get("role") == "slave":
        yield Finding("fail", PART, "it is a replica and can't be written; set AIWORKER_REDIS_URL to the primary")
    policy = said.get("maxmemory_policy", "unknown")
    if policy != "noeviction":
        says = f"maxmemory-policy is {policy}: full, it throws away messages, whose work then comes late"
        yield Finding("warn", PART, f"{says}; set it to noeviction")
    else:
        yield Finding("ok", PART, "maxmemory-policy is noeviction")


def _keeping(client: redis.Redis) -> Finding:
    try:
        save = cast("Mapping[str, str]", client.config_get("save")).get("save")
    except redis.ResponseError:
        return Finding("warn", PART, "whether it keeps anything over a restart can't be seen (CONFIG is not allowed)")
    if save:
        return Finding("ok", PART, "it keeps snapshots over a restart")
    says = "it keeps nothing over a restart: what was on its way then comes late, from the database"
    return Finding("warn", PART, f"{says}; set appendonly yes, or leave it so")
