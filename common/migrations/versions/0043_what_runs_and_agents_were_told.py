"""what of a task a run was told, so that a later run learns of changes"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("runs", recreate="never") as batch:
        batch.add_column(sa.Column("told_digest", sa.String(64)))


def downgrade() -> None:
    op.drop_column("runs", "told_digest")
