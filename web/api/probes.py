"""Health, liveness and readiness, for people, probes and load balancers. No token is needed."""

from __future__ import annotations

from http import HTTPStatus

from flask import Response, after_this_request, current_app
from marshmallow import fields

from web import VERSION
from web.health import NEEDED_TO_SERVE, PARTS, Examination, Part, backends
from web.http.auth import public
from web.http.blueprint import Blueprint, reply
from web.http.errors import RETRY_AFTER_SECONDS
from web.http.fields import Schema, iso

health = Blueprint("health", __name__, url_prefix="/api")


class ServicesSchema(Schema):
    mysql = fields.String()
    redis = fields.String()
    gitea = fields.String()
    kubernetes = fields.String()


class SandboxSchema(Schema):
    is_confining = fields.Boolean(data_key="isConfining")
    says = fields.String()


class HealthSchema(Schema):
    """status: ok, degraded, down. services: connected, reachable, disconnected, unreachable. backends: the software
    behind each service.

    disk, of the data directory: ok; scarce, make room soon; low, no new work begins; full, writes fail; or null if
    unknown. sandbox: whether checks and previews run in a sandbox of this machine; null while the local runtime does
    not answer, and on a cluster, where they run in pods.
    """

    status = fields.String()
    timestamp = fields.String()
    services = fields.Nested(ServicesSchema)
    backends = fields.Nested(ServicesSchema)
    disk = fields.String(allow_none=True)
    sandbox = fields.Nested(SandboxSchema, allow_none=True)
    version = fields.String()


class ProbeSchema(Schema):
    status = fields.String()


@health.get("/health")
@public
@reply(HealthSchema)
def read_health() -> tuple[object, int]:
    """503 if the database or Redis does not answer; `degraded` if another part does not, the sweep is late or the disk
    is low."""
    found = _examination("health", PARTS).health()
    payload = {
        "status": found.status,
        "timestamp": iso(found.at),
        "services": found.services,
        "backends": backends(),
        "disk": found.disk,
        "sandbox": found.confinement,
        "version": VERSION,
    }
    return _down(payload) if found.status == "down" else (payload, HTTPStatus.OK)


@health.get("/health/live")
@public
@reply(ProbeSchema)
def read_liveness() -> object:
    """Whether this process answers; nothing else is checked."""
    return {"status": "ok"}


@health.get("/health/ready")
@public
@reply(ProbeSchema)
def read_readiness() -> tuple[object, int]:
    """Whether this process can serve requests: the database answers, and the schema is current.

    Redis is not asked: without it work is late, and nothing is lost.
    """
    examination = _examination("readiness", NEEDED_TO_SERVE)
    if examination.health().status == "down":
        return _down({"status": "down"})
    if not examination.is_schema_current():
        return _down({"status": "schema is not current"})
    return {"status": "ok"}, HTTPStatus.OK


def _down(payload: object) -> tuple[object, int]:
    """The reply of a platform that can serve nothing now: a 503 says when to ask again."""

    @after_this_request
    def say_when(response: Response) -> Response:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response

    return payload, HTTPStatus.SERVICE_UNAVAILABLE


def _examination(name: str, parts: tuple[Part, ...]) -> Examination:
    """The app's examination of that name, made at the first request: its threads have to start in this process."""
    kept: dict[str, Examination] = current_app.extensions.setdefault("examinations", {})
    if name not in kept:
        kept[name] = Examination(parts)
    return kept[name]
