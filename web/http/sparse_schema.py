"""Replies that leave out what is null: a key that the contract marks with `?` is absent, never null."""

from __future__ import annotations

from typing import ClassVar

import marshmallow as ma

from web.http.fields import Schema


class SparseSchema(Schema):
    """optional: keys (camelCase) that are left out where their value is null."""

    optional: ClassVar[frozenset[str]] = frozenset()

    @ma.post_dump
    def _leave_out(self, dumped: dict[str, object], **_context: object) -> dict[str, object]:
        return {key: value for key, value in dumped.items() if value is not None or key not in self.optional}
