"""how often the tests of a group must be green before it lands"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("projects", recreate="never") as batch:
        batch.add_column(sa.Column("group_test_runs", sa.Integer(), nullable=False, server_default="1"))


def downgrade() -> None:
    op.drop_column("projects", "group_test_runs")
