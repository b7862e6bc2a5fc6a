"""what a project does about secrets and known faults in a change, and which of them a person lets go"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from common.database import engines

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("projects", recreate="never") as batch:
        # Existing projects keep their behaviour: nothing is scanned unless the project asks for it.
        batch.add_column(sa.Column("secret_scan", sa.String(8), nullable=False, server_default="off"))
        batch.add_column(sa.Column("dependency_scan", sa.String(8), nullable=False, server_default="off"))
    # SQLite takes no expression for rows that are there, MySQL nothing but one.
    empty = sa.text("'[]'" if op.get_bind().dialect.name == "sqlite" else "('[]')")
    with op.batch_alter_table("tasks", recreate="never") as batch:
        batch.add_column(sa.Column("accepted_findings", engines.JsonText(), nullable=False, server_default=empty))


def downgrade() -> None:
    op.drop_column("tasks", "accepted_findings")
    for column in ("dependency_scan", "secret_scan"):
        op.drop_column("projects", column)
