"""live versions that failed together have a code, not only a sentence"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_DEPLOYMENTS = sa.table(
    "deployments", sa.column("live_key", sa.String), sa.column("error", sa.Text), sa.column("error_code", sa.String)
)
_IS_LIVE = _DEPLOYMENTS.c.live_key.is_not(None)
_SENTENCE = "not rolled back, as versions of many projects failed together"


def upgrade() -> None:
    told = _DEPLOYMENTS.c.error.startswith(_SENTENCE)
    op.execute(_DEPLOYMENTS.update().where(_IS_LIVE, told).values(error_code="machine"))


def downgrade() -> None:
    op.execute(_DEPLOYMENTS.update().where(_IS_LIVE).values(error_code=None))
