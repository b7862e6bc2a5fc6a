"""SQLite joins the parts of its index of words little by little

Parts were joined when there were 16 of a size, so now and then a new task waited until much of the index was written
anew: 50 ms with 16,000 tasks, 600 with 262,000, and so on, 16 times as long for 16 times as many. Since 64 tasks are
taken in at once (migration 0037), joining a little at each costs nothing that can be measured.
"""

from __future__ import annotations

from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Joined by and by from 16 parts of a size on, and all at once only if that leaves 64 of them.
    _join(automerge=16, crisismerge=64)


def downgrade() -> None:
    _join(automerge=0, crisismerge=16)


def _join(**options: int) -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name, value in options.items():
            op.execute(f"INSERT INTO task_words (task_words, rank) VALUES ('{name}', {value})")  # noqa: S608
