"""The variables with which the lines of the Procfile say how many processes to start.

They are arguments of gunicorn and Celery there, whose own errors don't name the variable.
"""

from __future__ import annotations

import os

from common.errors import Misconfigured
from common.settings.environment import Environment

WEB = "WEB_CONCURRENCY"
GATEWAY = "AIWORKER_GATEWAY_PROCESSES"
QUICK = "AIWORKER_QUICK_PROCESSES"
SLOW = "AIWORKER_SLOW_PROCESSES"


def check_process_numbers(*names: str) -> None:
    """Raise Misconfigured if one of the variables holds no number of processes. They may be empty."""
    for name in names:
        try:
            Environment({name: os.environ.get(name, "")}).optional_number(name, least=1, most=1000)
        except Misconfigured as error:
            raise Misconfigured(f"{error}; correct or unset it") from error
