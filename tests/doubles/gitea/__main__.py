"""`python -m tests.doubles.gitea [--port N] [--version 1.15.0] [--rings]`: the double as a program.

It runs until it is told to end. It says how to reach it, and at its end what is left on it. Exit status 1 where
something is, or where a call did not keep to Gitea's description of its API.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path

from tests.doubles.gitea.server import GiteaDouble


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.doubles.gitea")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--version", default="1.26.2")
    parser.add_argument("--rings", action="store_true", help="deliver webhooks, which else are all lost")
    asked = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    with tempfile.TemporaryDirectory(prefix="gitea-double-") as folder:
        double = GiteaDouble(Path(folder), version=asked.version, port=asked.port, rings=asked.rings)
        print(f"GITEA_URL={double.url} GITEA_TOKEN={double.token}", flush=True)
        signal.sigwait(_ENDS)
        double.close()
    left = {
        "organisations": sorted(double.model.organisations),
        "repositories": ["/".join(key) for key in double.model.repos],
        "users": [login for login in double.model.users if login != double.admin.login],
        "violations": double.violations,
    }
    print(json.dumps(left), flush=True)
    return int(any(left.values()))


_ENDS = {signal.SIGINT, signal.SIGTERM}

if __name__ == "__main__":
    sys.exit(main())
