"""an index for the results of commits that are old"""

from __future__ import annotations

from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_commit_verdicts_at", "commit_verdicts", ["at"])


def downgrade() -> None:
    op.drop_index("ix_commit_verdicts_at", "commit_verdicts")
