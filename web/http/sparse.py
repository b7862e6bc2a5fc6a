"""Replies that leave out what is not there: a key the contract writes with `?` is absent, never null."""

from __future__ import annotations

from typing import Any, ClassVar

import marshmallow as ma

from web.http.fields import Schema


class Sparse(Schema):
    """optional: keys (as on the wire) that are left out where their value is null."""

    optional: ClassVar[frozenset[str]] = frozenset()

    @ma.post_dump
    def _leave_out(self, dumped: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        return {key: value for key, value in dumped.items() if value is not None or key not in self.optional}
