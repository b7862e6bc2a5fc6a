"""The outgoing webhook, for administrators: its settings, what it has delivered, and a try."""

from __future__ import annotations

from marshmallow import fields

from common.errors import Invalid
from common.providers.outgoing_webhook import LONGEST_URL, check_webhook_address
from common.services.outgoing_webhook import delivering
from common.services.outgoing_webhook import webhook_settings as services
from common.services.requests.paging import PageQuery
from common.settings import settings
from common.values.delivery.notice import CHOSEN, NoticeKind
from common.values.states import Role
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, PagingSchema, body, never_replayed, page_of, query, reply, single
from web.http.fields import Boolean, Choice, Line, Schema, Timestamp, refused_if

webhook = Blueprint("webhook", __name__, url_prefix="/api")


def _url_fault(url: str) -> str | None:
    try:
        check_webhook_address(url, settings().web.outgoing_allow)
    except Invalid as error:
        return error.message
    return None


class WebhookSchema(Schema):
    """url: null: there is none. kinds: what it tells of. hasSecret: a secret signs its messages; it is never shown
    again. changedBy, changedAt: null if nobody has set it.
    """

    url = fields.String(allow_none=True)
    enabled = fields.Boolean()
    kinds = fields.List(Choice(CHOSEN))
    has_secret = fields.Boolean()
    changed_by = fields.String(allow_none=True)
    changed_at = Timestamp(allow_none=True)


class WebhookSecretSchema(Schema):
    """secret: `whsec_` and base64, as the libraries of Standard Webhooks take it."""

    webhook = fields.Nested(WebhookSchema)
    secret = fields.String()


class UpdateWebhookSchema(Schema):
    """url: http or https, without credentials; null removes it. enabled: the first url switches it on. secret: `whsec_`
    and the base64 of 24 to 64 bytes; one is made if there is none.
    """

    read_only = frozenset({"hasSecret", "changedBy", "changedAt"})
    url = Line(LONGEST_URL, allow_none=True, validate=refused_if(_url_fault))
    enabled = Boolean()
    kinds = fields.List(Choice(CHOSEN))
    secret = Line(200, metadata={"writeOnly": True})


class WebhookDeliverySchema(Schema):
    """A message. kind: what it tells of. state: `waiting` for its next try, `delivered` or `blocked_by_cancelled`.
    status, answer: the HTTP status of the last answer and how its body began; null: there was none. error: why the last
    try failed, or why there was none yet.
    """

    id = fields.String()
    kind = Choice(NoticeKind)
    state = Choice(("waiting", "delivered", "given_up"))
    text = fields.String()
    link = fields.String(allow_none=True)
    project_id = fields.String(allow_none=True)
    attempts = fields.Integer()
    status = fields.Integer(allow_none=True)
    answer = fields.String(allow_none=True)
    error = fields.String(allow_none=True)
    created_at = Timestamp()
    next_at = Timestamp(allow_none=True)
    finished_at = Timestamp(allow_none=True)


@webhook.get("/webhook")
@allow(Role.ADMIN)
@reply(single("webhook", WebhookSchema))
def read_webhook() -> object:
    """The address that is told what needs a person."""
    return services.read_webhook(by=current_caller())


@webhook.patch("/webhook")
@allow(Role.ADMIN)
@body(UpdateWebhookSchema)
@reply(single("webhook", WebhookSchema))
def update_webhook(**changes: object) -> object:
    """Change the fields that are sent. A webhook that is switched on tells of what happens from then on. What waits
    while it is switched off is given up.
    """
    return services.update_webhook(changes, by=current_caller())


@webhook.post("/webhook/secret")
@allow(Role.ADMIN)
@never_replayed
@reply(WebhookSecretSchema, 201)
def replace_webhook_secret() -> object:
    """Make a new secret. This reply alone shows it; the old one signs nothing more."""
    view, secret = services.replace_secret(by=current_caller())
    return {"webhook": view, "secret": secret}


@webhook.post("/webhook/test")
@allow(Role.ADMIN)
@reply(single("webhookDelivery", WebhookDeliverySchema), 202)
def test_webhook() -> object:
    """Send a test message by the way of all others, but only once: the delivery says how it ended."""
    return delivering.test_webhook(by=current_caller())


@webhook.get("/webhook/deliveries")
@allow(Role.ADMIN)
@query(PagingSchema)
@reply(page_of("webhookDeliveries", WebhookDeliverySchema, is_capped=True))
def list_webhook_deliveries(page: PageQuery) -> object:
    """Messages of the last seven days, newest first."""
    return delivering.list_deliveries(page, by=current_caller())


@webhook.get("/webhook/deliveries/<id:delivery_id>")
@allow(Role.ADMIN)
@reply(single("webhookDelivery", WebhookDeliverySchema))
def read_webhook_delivery(delivery_id: str) -> object:
    return delivering.read_delivery(delivery_id, by=current_caller())


@webhook.post("/webhook/deliveries/<id:delivery_id>/retry")
@allow(Role.ADMIN)
@reply(single("webhookDelivery", WebhookDeliverySchema))
def retry_webhook_delivery(delivery_id: str) -> object:
    """Try a message again that was given up."""
    return delivering.retry_delivery(delivery_id, by=current_caller())
