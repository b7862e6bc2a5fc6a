"""whether the lines that the tests of a project touch are read, measured or neither"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Existing projects go on as they were: their tests are run no second time.
    with op.batch_alter_table("projects", recreate="never") as batch:
        batch.add_column(sa.Column("coverage", sa.String(8), nullable=False, server_default="read"))


def downgrade() -> None:
    op.drop_column("projects", "coverage")
