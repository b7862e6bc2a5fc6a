"""Write a migration from what the models say and the newest migration lacks: `make migration MESSAGE="add x"`."""

from __future__ import annotations

import os
import sys
import tempfile

with tempfile.TemporaryDirectory() as folder:
    os.environ["AIWORKER_DATA_DIR"] = folder
    os.environ["AIWORKER_DATABASE_URL"] = f"sqlite:///{folder}/new.db"

    from alembic import command

    from common import database
    from common.services.health.schema import _config, upgrade

    upgrade()
    config = _config()
    with database.engine().connect() as connection:
        config.attributes["connection"] = connection
        command.revision(config, message=sys.argv[1], autogenerate=True)
    database.dispose_engines()
