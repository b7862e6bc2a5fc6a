"""tokens end with their parents, replays check access, names of restricted projects are their own"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from common.database import engines

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_RESTRICTED = "\x1f"


def upgrade() -> None:
    with op.batch_alter_table("api_tokens", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("parent_id", sa.String(length=40), nullable=True))
        batch_op.create_index(batch_op.f("ix_api_tokens_parent_id"), ["parent_id"], unique=False)

    with op.batch_alter_table("enrolment_tokens", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("created_by_id", sa.String(length=40), nullable=True))
        batch_op.add_column(sa.Column("parent_id", sa.String(length=40), nullable=True))
        batch_op.add_column(sa.Column("last_used_at", engines.UtcDateTime(), nullable=True))
        batch_op.create_index(batch_op.f("ix_enrolment_tokens_created_by_id"), ["created_by_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_enrolment_tokens_parent_id"), ["parent_id"], unique=False)

    with op.batch_alter_table("idempotency_keys", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("grants", engines.JsonText(), nullable=True))

    # The unique column `name` becomes the key that names are told apart by; what is shown gets a column of its own.
    # The other way round the table would have to be made anew on SQLite, with all that refers to it.
    with op.batch_alter_table("projects", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("shown_name", sa.String(length=100), server_default="", nullable=False))
        batch_op.create_index(batch_op.f("ix_projects_shown_name"), ["shown_name"], unique=False)
    projects = sa.table(
        "projects",
        sa.column("id"),
        sa.column("name"),
        sa.column("shown_name"),
        sa.column("is_restricted", sa.Boolean()),
    )
    op.execute(projects.update().values(shown_name=projects.c.name))
    op.execute(
        projects.update().where(projects.c.is_restricted).values(name=sa.literal(_RESTRICTED).concat(projects.c.id))
    )


def downgrade() -> None:
    projects = sa.table("projects", sa.column("id"), sa.column("name"), sa.column("shown_name"))
    op.execute(projects.update().values(name=projects.c.id))
    op.execute(projects.update().values(name=projects.c.shown_name))
    op.drop_index("ix_projects_shown_name", "projects")
    op.drop_column("projects", "shown_name")
    op.drop_column("idempotency_keys", "grants")
    op.drop_index("ix_enrolment_tokens_parent_id", "enrolment_tokens")
    op.drop_index("ix_enrolment_tokens_created_by_id", "enrolment_tokens")
    op.drop_column("enrolment_tokens", "last_used_at")
    op.drop_column("enrolment_tokens", "parent_id")
    op.drop_column("enrolment_tokens", "created_by_id")
    op.drop_index("ix_api_tokens_parent_id", "api_tokens")
    op.drop_column("api_tokens", "parent_id")
