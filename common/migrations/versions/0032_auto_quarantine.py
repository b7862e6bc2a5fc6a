"""a project's rule that puts flaky tests into quarantine, and what it counts"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from common.database import engines

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # No project had a rule. Flakes that were noted before are in no evidence: whose tests they were is not known.
    with op.batch_alter_table("projects", recreate="never") as batch:
        batch.add_column(sa.Column("auto_quarantine", engines.JsonText()))
    with op.batch_alter_table("flaky_tests", recreate="never") as batch:
        batch.add_column(sa.Column("evidence", engines.JsonText()))
        batch.add_column(sa.Column("evidence_after", engines.UtcDateTime()))
        batch.add_column(sa.Column("is_quarantined_by_rule", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch.add_column(sa.Column("failed_in_quarantine", sa.Integer(), nullable=False, server_default="0"))
    op.create_index("ix_flaky_tests_owner", "flaky_tests", ["quarantined_by", "quarantined_until"])


def downgrade() -> None:
    op.drop_index("ix_flaky_tests_owner", "flaky_tests")
    for column in ("failed_in_quarantine", "is_quarantined_by_rule", "evidence_after", "evidence"):
        op.drop_column("flaky_tests", column)
    op.drop_column("projects", "auto_quarantine")
