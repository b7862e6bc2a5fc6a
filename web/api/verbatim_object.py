"""An object of settings that is stored as it was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from marshmallow import fields


class VerbatimObject(fields.Nested):
    """An object that is checked by its schema, and stored and replied as it was sent."""

    def _deserialize(  # type: ignore[override]
        self, value: object, attr: str | None, data: Mapping[str, object] | None, **kwargs: bool | None
    ) -> dict[str, object]:
        super()._deserialize(value, attr, data, **kwargs)
        return dict(cast("Mapping[str, object]", value))

    def _serialize(  # type: ignore[override]
        self, nested_obj: Mapping[str, object] | None, attr: str | None, obj: object, **kwargs: object
    ) -> dict[str, object] | None:
        return None if nested_obj is None else dict(nested_obj)
