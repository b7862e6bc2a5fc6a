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
from common.settings.web import GATEWAY_PROCESSES, WEB_PROCESSES, check_process_numbers


def main() -> None:
    try:
        check_process_numbers(WEB_PROCESSES, GATEWAY_PROCESSES)
        settings()
    except Misconfigured as error:
        sys.exit(f"aiworker: {error}")
    environment = {name: value for name, value in os.environ.items() if name != WEB_PROCESSES}
    # Not by its name: a process manager may know where this Python is, and nothing of its environment's programs.
    os.execve(sys.executable, [sys.executable, "-m", "gunicorn", *sys.argv[1:]], environment)  # noqa: S606 (no shell)


if __name__ == "__main__":
    main()
