"""overruled reviews, settled comments"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from common.database import engines

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Nobody has overruled a review yet, and every comment is open.
    with op.batch_alter_table("runs", recreate="never") as batch:
        batch.add_column(sa.Column("overruled_by", sa.String(140)))
        batch.add_column(sa.Column("overruled_reason", sa.UnicodeText()))
        batch.add_column(sa.Column("overruled_at", engines.UtcDateTime()))
    with op.batch_alter_table("comments", recreate="never") as batch:
        batch.add_column(sa.Column("resolved_by", sa.String(140)))
        batch.add_column(sa.Column("resolved_at", engines.UtcDateTime()))


def downgrade() -> None:
    for column in ("resolved_at", "resolved_by"):
        op.drop_column("comments", column)
    for column in ("overruled_at", "overruled_reason", "overruled_by"):
        op.drop_column("runs", column)
