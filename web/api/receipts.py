"""Receipts: what led to each version in production, signed; and the key to check them with."""

from __future__ import annotations

from marshmallow import fields

from common.secrets.signing import key_id, public_key
from common.services.deployment import receipts as services
from common.values.states import Role
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, reply, single
from web.http.fields import Choice, Schema, Timestamp

receipts = Blueprint("receipts", __name__, url_prefix="/api")


class ReceiptSchema(Schema):
    """number: its place in the project's chain, from 1. kind: `delivery`, or `rollback` to this commit. envelope: the
    signed text, byte for byte. digest: SHA-256 of the envelope, which the next receipt of the project contains.
    """

    project_id = fields.String()
    number = fields.Integer()
    kind = Choice((services.DELIVERY, services.ROLLBACK))
    commit_sha = fields.String()
    deployment_id = fields.String()
    digest = fields.String()
    at = Timestamp()
    envelope = fields.String()


class NamedReceiptSchema(Schema):
    """A receipt without its text, which /api/receipts/:sha has for the commit."""

    number = fields.Integer()
    commit_sha = fields.String()
    digest = fields.String()


class ReceiptsSchema(Schema):
    """Oldest first: the delivery of the commit, and rollbacks to it; at most the newest 100."""

    receipts = fields.List(fields.Nested(ReceiptSchema))


class ReceiptKeySchema(Schema):
    """id: how envelopes name the key. publicKey: an Ed25519 key in PEM."""

    id = fields.String()
    public_key = fields.String()


@receipts.get("/receipts/<sha>")
@allow(Role.VIEWER)
@reply(ReceiptsSchema)
def read_receipts(sha: str) -> object:
    """The receipts of a commit that is or was in production. sha: at least 7 of its digits."""
    return {"receipts": services.read_receipts(sha, by=current_caller())}


@receipts.get("/receipts/key")
@allow(Role.VIEWER)
@reply(single("key", ReceiptKeySchema))
def read_receipt_key() -> object:
    """The public key that receipts are checked with. Keep a copy of it elsewhere: who can change this platform can
    change this answer, too."""
    return {"id": key_id(), "public_key": public_key()}
