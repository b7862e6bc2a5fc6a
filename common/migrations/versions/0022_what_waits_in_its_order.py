"""indexes for the scheduler: the tasks of a state by the time since when they wait, and runs by their end"""

from __future__ import annotations

from alembic import op

revision = "0022"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_tasks_waiting", "tasks", ["state", "queued_at", "id"])
    op.create_index("ix_runs_finished_at", "runs", ["finished_at"])


def downgrade() -> None:
    op.drop_index("ix_runs_finished_at", "runs")
    op.drop_index("ix_tasks_waiting", "tasks")
