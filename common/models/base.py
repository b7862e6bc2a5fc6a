"""What the tables share: ids, times, and a state that only `change_state` changes.

Model modules import no other model module than this. Models open no transactions and load no relationships.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar, cast

from sqlalchemy import String, UnicodeText
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from common.database.engines import JsonText, UtcDateTime
from common.errors import IllegalTransition
from common.values.names import new_id
from common.values.states import By, Edges

S = TypeVar("S", bound=StrEnum)

LongText = UnicodeText().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
"""Up to 16 MiB on MariaDB, where a plain TEXT holds at most 64 KiB."""

TABLE_OPTIONS = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}
"""A binary collation: names and ids compare by their bytes, as on SQLite."""


class Base(DeclarativeBase):
    __table_args__: Any = TABLE_OPTIONS
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime,
        dict[str, Any]: JsonText,
        dict[str, float]: JsonText,
        dict[str, int]: JsonText,
        dict[str, object]: JsonText,
        list[dict[str, object]]: JsonText,
        list[str]: JsonText,
    }

    lock_rank: ClassVar[int] = 0
    """Rows are locked in ascending order of this rank, so that no two transactions wait for each other."""


class HasId:
    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=new_id)


class HasState(Generic[S]):
    """A state that only `change_state` changes, along an edge of `edges`. The constructor sets it as `state_`."""

    edges: ClassVar[Edges]
    state_type: ClassVar[type[StrEnum]]
    thing: ClassVar[str]
    """What messages call an object of this model."""

    state_: Mapped[str] = mapped_column("state", String(24), index=True)

    id: Mapped[str]

    @property
    def state(self) -> S:
        return cast("S", self.state_type(self.state_))

    @property
    def label(self) -> str:
        """What messages to people call it."""
        return self.id

    def may_move_to(self, new: S, by: By) -> bool:
        return by in self.edges.get((self.state, new), frozenset())

    def change_state(self, new: S, by: By) -> S:
        """Move along an edge. Returns the old state. Raises IllegalTransition (a 409) if there is no such edge."""
        if not self.may_move_to(new, by):
            raise IllegalTransition(f"{self.thing} {self.label} is {self.state}; it can't become {new} now")
        old = self.state
        self.state_ = str(new)
        return old
