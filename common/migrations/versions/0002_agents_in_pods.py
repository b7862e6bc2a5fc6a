"""agents in pods"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from common.database import engines

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("agents", schema=None) as batch_op:
        batch_op.add_column(sa.Column("is_pod", sa.Boolean(), server_default=sa.text("0"), nullable=False))
        batch_op.add_column(sa.Column("token_sealed", sa.UnicodeText(), nullable=True))
        batch_op.add_column(sa.Column("pod_made_at", engines.UtcDateTime(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("agents", schema=None) as batch_op:
        batch_op.drop_column("pod_made_at")
        batch_op.drop_column("token_sealed")
        batch_op.drop_column("is_pod")
