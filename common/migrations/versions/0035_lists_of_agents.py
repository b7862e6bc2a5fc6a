"""indexes in the order of the lists of agents"""

from __future__ import annotations

from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_agents_created", "agents", ["created_at", "id"])
    op.create_index("ix_agents_state_created", "agents", ["state", "created_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_agents_state_created", "agents")
    op.drop_index("ix_agents_created", "agents")
