"""Providers of models: administrators add, change and delete them; members see which models there are."""

from __future__ import annotations

import marshmallow as ma
from marshmallow import fields

from common.services.spend import model_providers as services
from common.services.spend.model_providers import NewProvider
from common.values.runs.model_provider import LOGINS, MODEL_APIS
from common.values.states import Role
from web.api.project_schemas import IS_MODEL
from web.http.auth import allow, current_caller
from web.http.blueprint import Blueprint, body, reply, single
from web.http.fields import Boolean, Choice, Line, Number, Schema, Timestamp, refused_if

model_providers = Blueprint("model_providers", __name__, url_prefix="/api")

MOST_MODELS = 200
LONGEST_KEY = 4000
HIGHEST_PRICE = 1_000_000
"""US dollars per million tokens."""


def _key_fault(key: str) -> str | None:
    return None if key.isascii() and key.isprintable() and " " not in key else "Must be visible ASCII without spaces"


def _too_many(of: object) -> None:
    if isinstance(of, list | dict) and len(of) > MOST_MODELS:
        raise ma.ValidationError(f"At most {MOST_MODELS} models")


class ByModel(fields.Dict):
    """An object with a value for each model. Faults are named `<field>.<model>.<field of the value>`."""

    def _deserialize(self, value: object, attr: str | None, data: object, **kwargs: object) -> dict[str, object]:
        try:
            return dict(super()._deserialize(value, attr, data, **kwargs))  # type: ignore[no-untyped-call]
        except ma.ValidationError as error:
            if not isinstance(error.messages, dict):
                raise
            faults = {model: found.get("value", found.get("key")) for model, found in error.messages.items()}
            raise ma.ValidationError(faults) from error


class PriceSchema(Schema):
    """US dollars per million tokens. cached, cacheWrite: as input, if they are left out."""

    input = Number(0, HIGHEST_PRICE, required=True)
    output = Number(0, HIGHEST_PRICE, required=True)
    cached = Number(0, HIGHEST_PRICE)
    cache_write = Number(0, HIGHEST_PRICE)


class ModelProviderSchema(Schema):
    """enabled: whether runs are given it. fallback: the name of the provider that takes the calls while this one is
    limited; fallbackModel: the model that is asked for then; null: none, and the same. source: `stored`, or
    `environment`, which nobody can change here. baseUrl, login, hasKey, prices, the fallback and the last three: for
    administrators.
    """

    id = fields.String()
    name = fields.String()
    api = Choice(MODEL_APIS)
    models = fields.List(fields.String())
    enabled = fields.Boolean()
    source = Choice(("stored", "environment"))
    base_url = fields.String()
    login = Choice(LOGINS)
    has_key = fields.Boolean()
    prices = fields.Dict(keys=fields.String(), values=fields.Nested(PriceSchema))
    fallback = fields.String(allow_none=True)
    fallback_model = fields.String(allow_none=True)
    created_by = fields.String(allow_none=True)
    created_at = Timestamp(allow_none=True)
    updated_at = Timestamp(allow_none=True)


class ModelProvidersSchema(Schema):
    model_providers = fields.List(fields.Nested(ModelProviderSchema))


class _GivenSchema(Schema):
    read_only = frozenset({"id", "source", "hasKey", "createdBy", "createdAt", "updatedAt"})
    login = Choice(LOGINS)
    key = Line(LONGEST_KEY, validate=refused_if(_key_fault), metadata={"writeOnly": True})
    models = fields.List(Line(100), validate=_too_many)
    prices = ByModel(keys=Line(100), values=fields.Nested(PriceSchema), validate=_too_many)
    enabled = Boolean()
    fallback = Line(40, allow_none=True)
    fallback_model = Line(100, allow_none=True, validate=IS_MODEL)


class CreateModelProviderSchema(_GivenSchema):
    makes = NewProvider
    name = Line(40, required=True)
    api = Choice(MODEL_APIS, required=True)
    base_url = Line(services.LONGEST_URL, required=True)


class UpdateModelProviderSchema(_GivenSchema):
    name = Line(40)
    api = Choice(MODEL_APIS)
    base_url = Line(services.LONGEST_URL)


@model_providers.get("/model-providers")
@allow(Role.MEMBER)
@reply(ModelProvidersSchema)
def list_model_providers() -> object:
    """All providers. Members see their names, APIs and models."""
    caller = current_caller()
    found = services.list_providers(caller)
    if caller.is_admin:
        return {"model_providers": found}
    seen = ("id", "name", "api", "models", "enabled", "source")
    return {"model_providers": [{name: getattr(provider, name) for name in seen} for provider in found]}


@model_providers.get("/model-providers/<id:provider_id>")
@allow(Role.ADMIN)
@reply(single("modelProvider", ModelProviderSchema))
def read_model_provider(provider_id: str) -> object:
    return services.read_provider(provider_id, by=current_caller())


@model_providers.post("/model-providers")
@allow(Role.ADMIN)
@body(CreateModelProviderSchema)
@reply(single("modelProvider", ModelProviderSchema), 201)
def create_model_provider(body: NewProvider) -> object:
    """Add a provider. Its key is stored encrypted, and no reply ever contains it."""
    return services.create_provider(body, by=current_caller())


@model_providers.patch("/model-providers/<id:provider_id>")
@allow(Role.ADMIN)
@body(UpdateModelProviderSchema)
@reply(single("modelProvider", ModelProviderSchema))
def update_model_provider(provider_id: str, **changes: object) -> object:
    """Change the fields that are sent. Without `key`, the stored one stays."""
    return services.update_provider(provider_id, changes, by=current_caller())


@model_providers.delete("/model-providers/<id:provider_id>")
@allow(Role.ADMIN)
@reply(None, 204)
def delete_model_provider(provider_id: str) -> None:
    services.delete_provider(provider_id, by=current_caller())
