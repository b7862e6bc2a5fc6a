"""where logins are used"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from common.database import engines

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_COLUMNS = ("address", "client", "last_used_at")


def upgrade() -> None:
    # Of logins that are there nothing is known until their next refresh.
    with op.batch_alter_table("logins", recreate="never") as batch:
        batch.add_column(sa.Column("address", sa.String(45)))
        batch.add_column(sa.Column("client", sa.String(200)))
        batch.add_column(sa.Column("last_used_at", engines.UtcDateTime()))


def downgrade() -> None:
    # What alembic calls a batch would make the table anew on SQLite, with all that refers to it.
    for name in _COLUMNS:
        op.drop_column("logins", name)
