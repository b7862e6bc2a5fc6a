"""Is it well? For people, for probes, for load balancers: words only, and no token asked."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app
from marshmallow import fields

from web import VERSION
from web.health import PARTS, VITAL_PARTS, Examination, Part, backends
from web.http.auth import public
from web.http.blueprint import Blueprint, json_reply, reply
from web.http.fields import Schema, iso

health = Blueprint("health", __name__, url_prefix="/api")


class Services(Schema):
    mysql = fields.String()
    redis = fields.String()
    gitea = fields.String()
    kubernetes = fields.String()


class Health(Schema):
    """status: ok, degraded, down. services: connected, reachable, disconnected, unreachable. backends: what serves.

    disk, of the data directory: ok; scarce, make room soon; low, no new work begins; full, writes fail; or null.
    """

    status = fields.String()
    timestamp = fields.String()
    services = fields.Nested(Services)
    backends = fields.Nested(Services)
    disk = fields.String(allow_none=True)
    version = fields.String()


class Probe(Schema):
    status = fields.String()


@health.get("/health")
@public
@reply(Health)
def read_health() -> Response:
    """503 where the database or Redis is away; `degraded` where the rest is, the clockwork is late or the disk low."""
    found = _examination("health", PARTS).health()
    payload = {
        "status": found.status,
        "timestamp": iso(found.at),
        "services": found.services,
        "backends": backends(),
        "disk": found.disk,
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
    """Database and Redis answer and the schema is this version's: requests may come here. Nothing else is asked."""
    examination = _examination("readiness", VITAL_PARTS)
    if examination.health().status == "down":
        return {"status": "down"}, 503
    return ({"status": "ok"}, 200) if examination.is_schema_current() else ({"status": "schema is not current"}, 503)


def _examination(name: str, parts: tuple[Part, ...]) -> Examination:
    """This app's by that name, made when it is first asked: its threads belong to the process that serves."""
    kept = current_app.extensions.setdefault("examinations", {})
    if name not in kept:
        kept[name] = Examination(parts)
    examination: Examination = kept[name]
    return examination
