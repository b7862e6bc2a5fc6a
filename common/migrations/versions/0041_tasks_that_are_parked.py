"""an index for the tasks that wait for their files"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_tasks_parked", "tasks", ["parked_code", "created_at", "id"], sqlite_where=sa.text("parked_code IS NOT NULL")
    )


def downgrade() -> None:
    op.drop_index("ix_tasks_parked", "tasks")
