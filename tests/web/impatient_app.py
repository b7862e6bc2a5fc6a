"""The application, which waits for less time than the product: for tests of a whole server.

TEST_HEAD_SECONDS: how long a request's head may take. TEST_LIMIT_SHORT_SECONDS: which limits are left to the CLIs.
"""

from __future__ import annotations

import os

from web.app import create_app
from web.gateway import retries
from web.http.server import head_timeout

head_timeout.HEAD_SECONDS = float(os.environ.get("TEST_HEAD_SECONDS", head_timeout.HEAD_SECONDS))
retries.SHORT_LIMIT_SECONDS = float(os.environ.get("TEST_LIMIT_SHORT_SECONDS", retries.SHORT_LIMIT_SECONDS))

__all__ = ["create_app"]
