"""the index of words on MariaDB and MySQL with the projects"""

from __future__ import annotations

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Who sees some projects only is answered from the index alone.
    _index("created_at, id, project_id, title_words")


def downgrade() -> None:
    _index("created_at, id, title_words")


def _index(columns: str) -> None:
    if op.get_bind().dialect.name != "sqlite":
        # At once: what runs meanwhile names the index.
        op.execute(f"ALTER TABLE tasks DROP INDEX ix_tasks_created_words, ADD INDEX ix_tasks_created_words ({columns})")
