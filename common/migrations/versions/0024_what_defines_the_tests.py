"""what defines how a project's tests run, and which tasks may change it"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from common.database import engines

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Existing projects keep their behaviour: nothing is taken from the base unless the project asks for it.
    empty = sa.text("'[]'" if op.get_bind().dialect.name == "sqlite" else "('[]')")
    with op.batch_alter_table("projects", recreate="never") as batch:
        batch.add_column(sa.Column("test_setup", engines.JsonText(), nullable=False, server_default=empty))
    with op.batch_alter_table("tasks", recreate="never") as batch:
        batch.add_column(sa.Column("may_change_test_setup", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("tasks", "may_change_test_setup")
    op.drop_column("projects", "test_setup")
