"""gunicorn as the Procfile starts it: `python -m web.launcher.serve` becomes gunicorn, with the same arguments.

gunicorn reads WEB_CONCURRENCY while it is loaded, even if `-w` is given, and a wrong value ends it with a traceback. So
does any other wrong setting, once for each of its processes. A wrong `-w` ends it with a page on its usage that doesn't
name the variable.
"""

from __future__ import annotations

import os
import sys

from common.errors import Misconfigured
from common.settings import settings
from common.settings.environment import Environment

WEB_PROCESSES = "WEB_CONCURRENCY"
GATEWAY_PROCESSES = "AIWORKER_GATEWAY_PROCESSES"


def check_web_processes() -> None:
    """Raise Misconfigured if the variable with the number of web processes holds another thing. It may be empty."""
    _check_number(WEB_PROCESSES)


def _check_number(name: str) -> None:
    Environment({name: os.environ.get(name, "")}).optional_number(name, least=1, most=1000)


def main() -> None:
    try:
        check_web_processes()
        _check_number(GATEWAY_PROCESSES)
    except Misconfigured as error:
        sys.exit(f"aiworker: {error}; correct or unset it")
    try:
        settings()
    except Misconfigured as error:
        sys.exit(f"aiworker: {error}")
    environment = {name: value for name, value in os.environ.items() if name != WEB_PROCESSES}
    os.execvpe("gunicorn", ["gunicorn", *sys.argv[1:]], environment)  # noqa: S606 (no shell is needed)


if __name__ == "__main__":
    main()
