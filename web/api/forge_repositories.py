"""What can be imported from the server that the platform's forge is on."""

from __future__ import annotations

from marshmallow import fields

from common.providers.forge import forge
from common.values.states import Role
from web.api.timed_reads import read_in_time
from web.http.auth import allow
from web.http.blueprint import Blueprint, QueryInteger, query, reply
from web.http.fields import Schema, Text

forge_repositories = Blueprint("forge_repositories", __name__, url_prefix="/api")

FARTHEST_PAGE = 10_000
_NONE = "Every repository of the platform's own forge belongs to a project: import from an address, or push a folder."


class OfferSchema(Schema):
    """name: `owner/name`. url: for the `importUrl` of a new project."""

    name = fields.String()
    description = fields.String()
    url = fields.String()
    default_branch = fields.String()
    private = fields.Boolean(attribute="is_private")


class OffersSchema(Schema):
    """nextPage: null if these are the last. reason: why there can be none; null if there can."""

    repositories = fields.List(fields.Nested(OfferSchema), attribute="offers")
    next_page = fields.Integer(allow_none=True)
    reason = fields.String(allow_none=True)


class ListOffersSchema(Schema):
    """q: a part of the name."""

    q = Text(100, load_default="")
    page = QueryInteger(1, FARTHEST_PAGE, load_default=1)


@forge_repositories.get("/forge/repositories")
@allow(Role.ADMIN)
@query(ListOffersSchema)
@reply(OffersSchema)
def list_forge_repositories(q: str, page: int) -> object:
    """The repositories at the platform's Gitea that its account can read and that are no project's, 30 a page."""
    found = read_in_time(lambda: forge().read_importable(q.strip(), page=page), "the repositories of the forge")
    if found is None:
        return {"offers": [], "next_page": None, "reason": _NONE}
    return {"offers": found.offers, "next_page": found.next_page, "reason": None}
