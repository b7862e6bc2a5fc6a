"""The fixtures of the API's and of the workers' tests, for attacks on either."""

from __future__ import annotations

from tests.web.conftest import admin, app, app_on, maintainer, member, plain_app, viewer
from tests.workers.conftest import plain_platform, platform, platform_on

__all__ = [
    "admin",
    "app",
    "app_on",
    "maintainer",
    "member",
    "plain_app",
    "plain_platform",
    "platform",
    "platform_on",
    "viewer",
]
