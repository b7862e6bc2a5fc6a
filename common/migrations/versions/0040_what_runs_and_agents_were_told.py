"""what of a task a run was told, so that a later run learns of changes, and whether an agent was told to drain"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("runs", recreate="never") as batch:
        batch.add_column(sa.Column("told_digest", sa.String(64)))
    with op.batch_alter_table("agents", recreate="never") as batch:
        batch.add_column(sa.Column("drain", sa.String(8)))


def downgrade() -> None:
    op.drop_column("agents", "drain")
    op.drop_column("runs", "told_digest")
