"""runs without a cancel mark"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column("runs", "is_cancel_wanted")


def downgrade() -> None:
    with op.batch_alter_table("runs", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("is_cancel_wanted", sa.Boolean(), nullable=False, server_default=sa.false()))
