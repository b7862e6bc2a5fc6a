"""Makes the database ready for a start of the platform, in a process of its own. Also asks Redis once.

A process of its own, so that the launcher, which lives as long as the platform, does not hold the database's libraries:
70 MB. `prepare` is the launcher's side, in web/launcher/database_process.py. Prints one JSON object as its last line,
and before it what people should know.
"""

from __future__ import annotations

import json
import logging
import sys
from contextlib import suppress

import redis
import structlog

from common.errors import Busy, Misconfigured
from common.events import feed
from common.jobs import announcer
from common.services.agents.agents import create_local_enrolment, end_drains
from common.services.people.accounts import ensure_first_admin
from common.services.projects.provisioning import renew_repository_urls
from common.services.requests.access import acting
from common.services.upkeep.schema import upgrade
from common.services.upkeep.sealed_values import is_another_key
from common.settings import settings
from common.values.names import new_request_id
from web.launcher.programs import local_agent_ids

PARTING_SECONDS = 10.0
"""How long telling other processes may take: more than a frozen Redis costs."""


def main() -> None:
    """Upgrade the schema and make the first administrator, unless Redis refuses the login.

    With --enrol: also make a token with which local agents enrol, and forget that those that are enrolled were drained.
    """
    # What it prints is for people: lines about changes are not.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        # One that does not answer may do so later.
        with suppress(redis.RedisError):
            feed.require_login()
        with acting("operator", new_request_id()):
            upgrade()
            renew_repository_urls()
            if is_another_key():
                print("The secret key does not open what is stored here; the remedy is told by: aiworker doctor")
            password = ensure_first_admin()
            token = None
            if "--enrol" in sys.argv:
                token = create_local_enrolment()
                end_drains(local_agent_ids(settings().store.data_dir))
        answer = {"adminPassword": password, "enrolmentToken": token}
    except Misconfigured as error:
        answer = {"error": str(error)}
    except Busy as error:
        answer = {"error": f"{error}; try again in a moment, or run: aiworker doctor"}
    finally:
        announcer.close(PARTING_SECONDS)
    print(json.dumps(answer), flush=True)
