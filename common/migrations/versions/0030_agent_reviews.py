"""reviews of proven work by a second agent"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from common.database import engines

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # No project had a review, and every run was work.
    with op.batch_alter_table("projects", recreate="never") as batch:
        batch.add_column(sa.Column("agent_review", engines.JsonText()))
    with op.batch_alter_table("runs", recreate="never") as batch:
        batch.add_column(sa.Column("purpose", sa.String(8), nullable=False, server_default="work"))
        batch.add_column(sa.Column("verdict", sa.String(16)))


def downgrade() -> None:
    op.drop_column("runs", "verdict")
    op.drop_column("runs", "purpose")
    op.drop_column("projects", "agent_review")
