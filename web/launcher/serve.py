"""gunicorn as the Procfile starts it: `python -m web.launcher.serve` becomes gunicorn, with the same arguments.

gunicorn reads WEB_CONCURRENCY while it is loaded, even if `-w` is given, and a wrong value ends it with a traceback.
"""

from __future__ import annotations

import os
import sys

from common.errors import Misconfigured
from common.settings.environment import Environment

WEB_PROCESSES = "WEB_CONCURRENCY"


def check_web_processes() -> None:
    """Raise Misconfigured if the variable with the number of web processes holds another thing. It may be empty."""
    given = Environment({WEB_PROCESSES: os.environ.get(WEB_PROCESSES, "")})
    given.optional_number(WEB_PROCESSES, least=1, most=1000)


def main() -> None:
    try:
        check_web_processes()
    except Misconfigured as error:
        sys.exit(f"aiworker: {error}; correct or unset it")
    environment = {name: value for name, value in os.environ.items() if name != WEB_PROCESSES}
    os.execvpe("gunicorn", ["gunicorn", *sys.argv[1:]], environment)  # noqa: S606 (no shell is needed)


if __name__ == "__main__":
    main()
