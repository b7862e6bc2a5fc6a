"""What takes too long for `make test`: only collected where `make soak` asks for it."""

from __future__ import annotations

import os

from tests.web.conftest import app_on as app_on
from tests.web.conftest import plain_app as plain_app
from tests.workers.runner.conftest import platform as platform

collect_ignore_glob = [] if os.environ.get("AIWORKER_TEST_SOAK") == "1" else ["test_*.py"]
