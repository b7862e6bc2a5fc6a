"""what a project's repository starts with"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A project that is there has its repository.
    with op.batch_alter_table("projects", recreate="never") as batch:
        batch.add_column(sa.Column("starter", sa.String(20)))


def downgrade() -> None:
    # What alembic calls a batch would make the table anew on SQLite, with all that refers to it.
    op.drop_column("projects", "starter")
