"""sealed variables, secrets of checks and previews, bounded transcripts"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from common.database import engines
from common.migrations.repeated import has_column
from common.secrets.sealing import seal, unseal

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_SEALED = sa.UnicodeText().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    # Column by column: what alembic calls a batch makes the table anew on SQLite, and to drop the old one takes the
    # project's members with it.
    op.add_column("projects", sa.Column("env_sealed", _SEALED, nullable=True))
    op.add_column("projects", _json("secrets_in_checks", "[]"))
    op.add_column("projects", _json("secrets_in_previews", "[]"))
    # On MariaDB, an upgrade that was interrupted after this column was dropped begins the migration anew.
    for row in _rows("env_vars", "secret_env_names") if has_column("projects", "env_vars") else ():
        # What has run with all of its secrets goes on with them, until somebody takes them away.
        named = {"secrets_in_checks": row.secret_env_names, "secrets_in_previews": row.secret_env_names}
        _change(row.id, {"env_sealed": seal(row.env_vars) if row.env_vars else None, **named})
    op.drop_column("projects", "env_vars")
    op.add_column("runs", sa.Column("log_bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    _rewrite_answers(lambda body: seal(body.decode()).encode())


def downgrade() -> None:
    _rewrite_answers(lambda body: str(unseal(body.decode())).encode())
    op.drop_column("runs", "log_bytes")
    op.add_column("projects", _json("env_vars", "{}"))
    for row in _rows("env_sealed"):
        _change(row.id, {"env_vars": unseal(row.env_sealed) if row.env_sealed else {}})
    for name in ("secrets_in_previews", "secrets_in_checks", "env_sealed"):
        op.drop_column("projects", name)


def _json(name: str, default: str) -> sa.Column[Any]:
    # SQLite takes no expression for rows that are there, MySQL nothing but one.
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    written = sa.text(f"'{default}'" if is_sqlite else f"('{default}')")
    return sa.Column(name, engines.JsonText(), server_default=written, nullable=False)


_JSON = ("env_vars", "secret_env_names", "secrets_in_checks", "secrets_in_previews")


def _column(name: str) -> sa.ColumnClause[Any]:
    return sa.column(name, engines.JsonText() if name in _JSON else sa.UnicodeText())


def _rows(*names: str) -> list[Any]:
    projects = sa.table("projects", _column("id"), *map(_column, names))
    return list(op.get_bind().execute(sa.select(projects)))


def _change(project_id: str, values: Mapping[str, Any]) -> None:
    projects = sa.table("projects", _column("id"), *map(_column, values))
    op.get_bind().execute(sa.update(projects).where(projects.c.id == project_id).values(**values))


def _rewrite_answers(rewritten: Callable[[bytes], bytes]) -> None:
    """The kept answers to requests with an Idempotency-Key: they hold variables and new tokens."""
    answers = sa.table(
        "idempotency_keys", sa.column("caller", sa.String()), sa.column("key", sa.String()),
        sa.column("status", sa.SmallInteger()), sa.column("body", sa.LargeBinary()),
    )  # fmt: skip
    connection = op.get_bind()
    for row in list(connection.execute(sa.select(answers).where(answers.c.status > 0))):
        its = (answers.c.caller == row.caller, answers.c.key == row.key)
        connection.execute(sa.update(answers).where(*its).values(body=rewritten(row.body)))
