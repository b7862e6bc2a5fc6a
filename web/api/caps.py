"""Caps of spending: their fields in tasks and projects, and those of the whole platform."""

from __future__ import annotations

from marshmallow import fields
from marshmallow.validate import Range

from common.services.caps.caps import NAMES
from common.services.spend import cap_settings as services
from common.values.states import Role
from web.api.verbatim_object import VerbatimObject
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, body, reply, single
from web.http.fields import Choice, Integer, Number, Schema, Timestamp

caps = Blueprint("caps", __name__, url_prefix="/api")

MOST = 10**12


class Positive(Number):
    """A number above 0."""

    def __init__(self, *, allow_none: bool) -> None:
        super().__init__(allow_none=allow_none)
        self.validators.append(Range(0, MOST, min_inclusive=False, error=f"Must be above 0, and at most {MOST}"))


class CapsSchema(Schema):
    """The most that may be used; what is absent is not capped. tokens: input, cache writes and output. costUsd: of the
    calls with a known price. minutes: how long runs are at work, added up. In a request, null removes a cap.
    """

    tokens = Integer(1, MOST, allow_none=True)
    cost_usd = Positive(allow_none=True)
    minutes = Positive(allow_none=True)
    runs = Integer(1, MOST, allow_none=True)


class CapGroupsSchema(Schema):
    """task: of each task that names none itself. day: of all tasks per day (UTC). total: of all tasks. In a request,
    null removes all caps of one.
    """

    task = VerbatimObject(CapsSchema, allow_none=True)
    day = VerbatimObject(CapsSchema, allow_none=True)
    total = VerbatimObject(CapsSchema, allow_none=True)


class CapUseSchema(Schema):
    """A cap, and how much of it is used. scope: whose. period: `day` (UTC) or `total`."""

    scope = Choice(("task", "project", "platform"))
    period = Choice(("day", "total"))
    cap = Choice(NAMES)
    limit = fields.Float()
    used = fields.Float()


class PlatformCapsSchema(CapGroupsSchema):
    """changedBy, changedAt: null if they were never set. uses: how much of each cap of `day` and `total` is used."""

    changed_by = fields.String(allow_none=True)
    changed_at = Timestamp(allow_none=True)
    uses = fields.List(fields.Nested(CapUseSchema))


class UpdatePlatformCapsSchema(CapGroupsSchema):
    read_only = frozenset({"changedBy", "changedAt", "uses"})


@caps.get("/caps")
@allow(Role.ADMIN)
@reply(single("caps", PlatformCapsSchema))
def read_caps() -> object:
    """The caps of the whole platform."""
    return services.read_platform_caps(by=current_caller())


@caps.patch("/caps")
@allow(Role.ADMIN)
@body(UpdatePlatformCapsSchema)
@reply(single("caps", PlatformCapsSchema))
def update_caps(**changes: services.CapChanges | None) -> object:
    """Change the caps that are sent. Tasks that waited for room under a cap go on, if there is some now."""
    return services.update_platform_caps(changes, by=current_caller())
