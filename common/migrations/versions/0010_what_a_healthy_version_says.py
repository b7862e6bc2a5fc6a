"""what a healthy version says"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("projects", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("health_contains", sa.String(length=200), nullable=True))


def downgrade() -> None:
    op.drop_column("projects", "health_contains")
