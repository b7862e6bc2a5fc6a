"""Is it well? For people, for probes, for load balancers: words only, and no token asked."""

from __future__ import annotations

import functools
import os
from typing import Any

from flask import Response
from marshmallow import fields

from common.services import database
from web import health as examined
from web.auth import public
from web.http import Blueprint, json_reply, reply
from web.openapi import VERSION
from web.schemas import Schema, iso

health = Blueprint("health", __name__, url_prefix="/api")


class Services(Schema):
    mysql = fields.String()
    redis = fields.String()
    gitea = fields.String()
    kubernetes = fields.String()


class Health(Schema):
    """status: ok, degraded, down. services: connected, reachable, disconnected, unreachable. backends: what serves."""

    status = fields.String()
    timestamp = fields.String()
    services = fields.Nested(Services)
    backends = fields.Nested(Services)
    version = fields.String()


class Probe(Schema):
    status = fields.String()


@health.get("/health")
@public
@reply(Health)
def read_health() -> Response:
    """503 where the database or Redis is away; `degraded` where the rest is, or the clockwork is late."""
    found = _examination(os.getpid()).health()
    payload = {
        "status": found.status,
        "timestamp": iso(found.at),
        "services": found.services,
        "backends": examined.backends(),
        "version": VERSION,
    }
    return json_reply(payload, 503 if found.status == "down" else 200)


@health.get("/health/live")
@public
@reply(Probe)
def read_liveness() -> Any:
    """This process answers; nothing else is asked."""
    return {"status": "ok"}


@health.get("/health/ready")
@public
@reply(Probe)
def read_readiness() -> Any:
    """Database and Redis answer and the schema is this version's: requests may come here."""
    found = _examination(os.getpid()).health()
    if found.status == "down":
        return {"status": "down"}, 503
    return ({"status": "ok"}, 200) if _is_current() else ({"status": "schema is not current"}, 503)


@functools.cache
def _examination(_pid: int) -> examined.Examination:
    return examined.Examination()


def _is_current() -> bool:
    # Once it is, it stays so for this process: only a newer program migrates on.
    if not _seen_current:
        if not database.is_current():
            return False
        _seen_current.append(True)
    return True


_seen_current: list[bool] = []
