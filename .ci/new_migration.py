"""Write the next migration from what the models have and the migrations lack: `make migration MESSAGE="add x"`."""

from __future__ import annotations

import os
import sys
import tempfile

with tempfile.TemporaryDirectory() as folder:
    os.environ["AIWORKER_DATA_DIR"] = folder
    os.environ["AIWORKER_DATABASE_URL"] = f"sqlite:///{folder}/new.db"

    from alembic import command
    from alembic.script import ScriptDirectory

    from common.database import engines
    from common.services.upkeep.schema import _config, upgrade

    upgrade()
    config = _config()
    newest = ScriptDirectory.from_config(config).get_current_head()
    with engines.engine().connect() as connection:
        config.attributes["connection"] = connection
        command.revision(config, message=sys.argv[1], autogenerate=True, rev_id=f"{int(newest or 0) + 1:04}")
    engines.dispose_engines()
