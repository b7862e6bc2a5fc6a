"""After a change of the secret key: seals anew what is still sealed with the earlier one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Column, select, tuple_, update

from common.database import engines
from common.database.compiled_statements import AnyAttribute, AnyRow, AnySelect
from common.errors import AnotherKey
from common.models import Agent, Deployment, IdempotencyKey, ModelProvider, Project, Run
from common.models.spend import PlatformSetting
from common.secrets.sealing import sealed_anew
from common.transaction import Snapshot, Transaction, snapshot, transactional

SEALED: tuple[AnyAttribute, ...] = (
    ModelProvider.key_sealed,
    Project.env_sealed,
    Project.secret_env_sealed,
    Deployment.spec_sealed,
    Run.secrets_sealed,
    Agent.token_sealed,
    IdempotencyKey.body,
)
"""Every column that holds sealed values. Beside them, settings of the platform may hold one: see _IN_SETTINGS."""
BATCH = 100
_IN_SETTINGS = "secretSealed"


@dataclass(frozen=True)
class Resealed:
    """Numbers of values. unreadable: those that neither key opens; they stay as they are."""

    resealed: int = 0
    unreadable: int = 0

    def __add__(self, other: Resealed) -> Resealed:
        return Resealed(self.resealed + other.resealed, self.unreadable + other.unreadable)


def reseal_everything() -> Resealed:
    """Seal with the present key all that is sealed with the earlier one, in batches with transactions of their own.

    Safe to repeat, and while the platform runs, if every process of it has both keys.
    """
    done = _reseal_settings()
    for column in SEALED:
        after: Sequence[object] | None = ()
        while after is not None:
            after, batch = _reseal_batch(column, after)
            done += batch
    return done


def is_earlier_key_needed() -> bool:
    """Whether a value is sealed with the earlier key. Reads all that is sealed. Writes nothing."""
    with snapshot() as read:
        if any(_is_of_earlier(row.value.get(_IN_SETTINGS)) for row in read.session.scalars(select(PlatformSetting))):
            return True
        for column in SEALED:
            after: Sequence[object] | None = ()
            while after is not None:
                rows = _page(read, column, after)
                if any(_is_of_earlier(row[-1]) for row in rows):
                    return True
                after = _next(rows)
    return False


@transactional
def _reseal_settings(tx: Transaction) -> Resealed:
    done = Resealed()
    for row in tx.session.scalars(select(PlatformSetting).with_for_update()):
        try:
            anew = _anew(row.value.get(_IN_SETTINGS))
        except AnotherKey:
            done += Resealed(unreadable=1)
            continue
        if anew is not None:
            row.value = {**row.value, _IN_SETTINGS: anew}
            done += Resealed(resealed=1)
    return done


@transactional
def _reseal_batch(
    tx: Transaction, column: AnyAttribute, after: Sequence[object]
) -> tuple[Sequence[object] | None, Resealed]:
    """after: the primary key of the last row before this batch; empty for the first. Returns the one for the next
    batch; None if there is none.
    """
    rows = _page(tx, column, after)
    done = Resealed()
    for row in rows:
        key: Sequence[object] = row[:-1]
        sealed = row[-1]
        try:
            anew = _anew(sealed)
        except AnotherKey:
            done += Resealed(unreadable=1)
            continue
        if anew is not None:
            same = (each == value for each, value in zip(_keys(column), key, strict=True))
            # What somebody has stored since is sealed with the present key.
            change = update(column.class_).where(*same, column == sealed).values({column: anew})
            change = change.execution_options(synchronize_session=False)
            done += Resealed(resealed=engines.rows_changed(tx.session, change))
    return _next(rows), done


def _keys(column: AnyAttribute) -> Sequence[Column[object]]:
    return tuple(column.class_.__table__.primary_key.columns)


def _page(at: Snapshot | Transaction, column: AnyAttribute, after: Sequence[object]) -> Sequence[AnyRow]:
    """Rows of the primary key's columns and the sealed one."""
    keys = _keys(column)
    page: AnySelect = select(*keys, column).where(column.is_not(None)).order_by(*keys).limit(BATCH)
    rows: Sequence[AnyRow] = at.session.execute(page.where(tuple_(*keys) > tuple_(*after)) if after else page).all()
    return rows


def _next(rows: Sequence[AnyRow]) -> Sequence[object] | None:
    return tuple(rows[-1][:-1]) if len(rows) == BATCH else None


def _is_of_earlier(sealed: object) -> bool:
    try:
        return _anew(sealed) is not None
    except AnotherKey:
        return False


def _anew(sealed: object) -> str | bytes | None:
    """The value sealed with the present key; None if it is already, or if there is nothing. Raises AnotherKey."""
    if not sealed:
        return None
    if isinstance(sealed, bytes):
        anew = sealed_anew(sealed.decode())
        return anew and anew.encode()
    return sealed_anew(str(sealed))
