"""jobs that wait for access"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("jobs", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("waits_for", sa.String(length=20), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "waits_for")
