"""held projects and runs that the machine cut short"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from common.database import engines

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("projects", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("holds", sa.Integer(), server_default=sa.text("0"), nullable=False))
        batch_op.add_column(sa.Column("held_until", engines.UtcDateTime(), nullable=True))
    with op.batch_alter_table("tasks", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("losses", sa.Integer(), server_default=sa.text("0"), nullable=False))
    with op.batch_alter_table("runs", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("is_cut_short", sa.Boolean(), server_default=sa.text("0"), nullable=False))


def downgrade() -> None:
    # Column by column: what alembic calls a batch makes the table anew on SQLite, with all that refers to it.
    op.drop_column("runs", "is_cut_short")
    op.drop_column("tasks", "losses")
    op.drop_column("projects", "held_until")
    op.drop_column("projects", "holds")
