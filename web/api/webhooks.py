"""Gitea's webhooks: a signed delivery makes the platform read a repository again.

The signature covers the raw body; of the content only the repository and a push's branch are used. Deliveries may be
late, repeated, reordered or lost: each only causes a read, and the sweep reads anyway. Redis remembers the ids of past
deliveries to ignore repeated ones; while it is unavailable, a repeated delivery causes one more harmless read.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import re
from typing import TYPE_CHECKING

from flask import request

from common.errors import NotFound, Unauthenticated
from common.events import feed
from common.machine.lazy_modules import lazy_module
from common.providers.forge import ZERO_SHA, webhook_secret
from common.services.forge_webhooks import PushAtForge, enqueue_status_checks, read_repository_soon
from common.settings import settings
from common.values.names import SHA_PATTERN
from web.http.auth import public
from web.http.blueprint import Blueprint, raw_body, reply

if TYPE_CHECKING:
    import redis
else:
    redis = lazy_module("redis")

webhooks = Blueprint("webhooks", __name__, url_prefix="/api")

MOST_BODY_BYTES = 5 * 2**20
MOST_BRANCH, MOST_LOGIN = 255, 140
REMEMBERED_SECONDS = 86400
EVENTS = frozenset(
    {"push", "create", "delete", "pull_request", "pull_request_approved", "pull_request_rejected",
     "pull_request_comment", "pull_request_review", "issue_comment", "status"}
)  # fmt: skip
_DELIVERY = re.compile(r"[0-9A-Za-z-]{1,64}")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")


@webhooks.post("/webhooks/gitea")
@public
@raw_body(MOST_BODY_BYTES, media_type=None)
@reply(None, 204)
def receive_gitea(body: bytes) -> None:
    """Take a delivery: 204 whether or not it is of use, 401 if the signature is wrong."""
    if settings().forge.kind != "gitea":
        raise NotFound("webhooks of a forge that is not configured")
    _check_signature(body)
    delivery = request.headers.get("X-Gitea-Delivery", "")
    if request.headers.get("X-Gitea-Event") not in EVENTS or _is_known(delivery):
        return
    place = _repository(body)
    if place is not None and request.headers["X-Gitea-Event"] == "status":
        enqueue_status_checks(*place)
    elif place is not None:
        push = _push(body) if request.headers["X-Gitea-Event"] == "push" else None
        read_repository_soon(*place, push=push)
    _remember(delivery)


def _check_signature(body: bytes) -> None:
    given = request.headers.get("X-Gitea-Signature", "")
    wanted = hmac.new(webhook_secret().encode(), body, hashlib.sha256).hexdigest()
    if not _SIGNATURE.fullmatch(given) or not hmac.compare_digest(given, wanted):
        raise Unauthenticated("The signature was not made with this instance's secret")


def _repository(body: bytes) -> tuple[str, str] | None:
    """The repository's owner and name, in lower case; None if the body names none.

    Names of the platform are in lower case; an organisation that existed before may have capitals.
    """
    try:
        owner, _, name = json.loads(body)["repository"]["full_name"].lower().partition("/")
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return (owner, name) if owner and name else None


def _push(body: bytes) -> PushAtForge | None:
    """The push to a branch; None if the body describes none, or the branch was deleted."""
    try:
        sent = json.loads(body)
        ref, old, new, login = sent["ref"], sent["before"], sent["after"], sent["pusher"]["login"]
    except (ValueError, KeyError, TypeError):
        return None
    branch = ref.removeprefix("refs/heads/") if isinstance(ref, str) and ref.startswith("refs/heads/") else ""
    shas = all(isinstance(sha, str) and SHA_PATTERN.fullmatch(sha) for sha in (old, new))
    if not (shas and 0 < len(branch) <= MOST_BRANCH and isinstance(login, str) and 0 < len(login) <= MOST_LOGIN):
        return None
    if new == ZERO_SHA:
        return None
    return PushAtForge(branch, None if old == ZERO_SHA else old, new, login)


def _key(delivery: str) -> str:
    return f"{settings().instance}:webhook:{delivery}"


def _is_known(delivery: str) -> bool:
    try:
        with feed.guarded_client() as client:
            return bool(_DELIVERY.fullmatch(delivery)) and bool(client.exists(_key(delivery)))
    except redis.RedisError:
        return False


def _remember(delivery: str) -> None:
    if _DELIVERY.fullmatch(delivery):
        with contextlib.suppress(redis.RedisError), feed.guarded_client() as client:
            client.set(_key(delivery), 1, ex=REMEMBERED_SECONDS)
