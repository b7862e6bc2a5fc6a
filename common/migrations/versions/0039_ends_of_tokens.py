"""indexes for the ends of API and enrolment tokens"""

from __future__ import annotations

from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

_TABLES = ("api_tokens", "enrolment_tokens")


def upgrade() -> None:
    for table in _TABLES:
        op.create_index(f"ix_{table}_expires_at", table, ["expires_at"])


def downgrade() -> None:
    for table in _TABLES:
        op.drop_index(f"ix_{table}_expires_at", table)
