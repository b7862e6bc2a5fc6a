"""Makes the database ready for a start of the platform, in a process of its own.

A process of its own, so that the launcher, which lives as long as the platform, does not hold the database's libraries:
70 MB. `prepare` is the launcher's side, in web/launcher/preparation.py. Prints one JSON object as its last line.
"""

from __future__ import annotations

import json
import sys

from common import announcer
from common.errors import Busy, Misconfigured
from common.names import new_request_id
from common.services.access import acting
from common.services.health.schema import upgrade
from common.services.people.accounts import ensure_first_admin
from common.services.runs.agents import create_local_enrolment

PARTING_SECONDS = 10.0
"""How long telling other processes may take: more than a frozen Redis costs."""


def main() -> None:
    """Upgrade the schema, make the first administrator, and with --enrol a token with which local agents enrol."""
    try:
        with acting("operator", new_request_id()):
            upgrade()
            password = ensure_first_admin()
            token = create_local_enrolment() if "--enrol" in sys.argv else None
        answer = {"adminPassword": password, "enrolmentToken": token}
    except Misconfigured as error:
        answer = {"error": str(error)}
    except Busy as error:
        answer = {"error": f"{error}; try again in a moment, or run: aiworker doctor"}
    finally:
        announcer.close(PARTING_SECONDS)
    print(json.dumps(answer), flush=True)
