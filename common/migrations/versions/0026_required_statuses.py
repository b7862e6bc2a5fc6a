"""which statuses of the repository's own CI a project requires

Existing projects require none.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from common.database import engines

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # SQLite takes no expression for rows that are there, MySQL nothing but one.
    empty = sa.text("'[]'" if op.get_bind().dialect.name == "sqlite" else "('[]')")
    with op.batch_alter_table("projects", recreate="never") as batch:
        batch.add_column(sa.Column("required_statuses", engines.JsonText(), nullable=False, server_default=empty))


def downgrade() -> None:
    op.drop_column("projects", "required_statuses")
