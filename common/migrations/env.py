"""How alembic runs a migration: on the connection that common.services.upkeep.schema.upgrade hands over."""

from __future__ import annotations

from alembic import context

# Alembic uses its classes for MariaDB and MySQL once they are defined.
from common.migrations import repeated  # noqa: F401
from common.models import Base, is_word_index

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
    transactional_ddl=connection.dialect.name == "sqlite",
    user_module_prefix="database.",
    include_name=lambda name, _type, _parents: not is_word_index(name),
)
with context.begin_transaction():
    context.run_migrations()
