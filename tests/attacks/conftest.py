"""The app and the platform that attacks are made on: those of the tests of web and workers."""

from tests.web.conftest import app, app_on, plain_app
from tests.workers.conftest import plain_platform, platform_on

__all__ = ["app", "app_on", "plain_app", "plain_platform", "platform_on"]
