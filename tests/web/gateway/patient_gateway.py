"""The gateway, which waits for a database that stands still for longer than the product does before it ends.

Served with `--graceful-timeout 60`: what is under way is recorded 3 s after the signal, as in the product.
TEST_BODY_SECONDS: how long a request's body may take to arrive. TEST_SILENCE_SECONDS: how long a provider may be
silent.
"""

from __future__ import annotations

import os

from web.app import create_gateway
from web.gateway import call_log, routes
from web.gateway.answers import bodies
from web.http.server import head_timeout

call_log.PARTING_SECONDS = 30.0
head_timeout._RECORDING_SECONDS = 57.0
routes.BODY_SECONDS = float(os.environ.get("TEST_BODY_SECONDS", routes.BODY_SECONDS))
bodies.SILENCE_SECONDS = float(os.environ.get("TEST_SILENCE_SECONDS", bodies.SILENCE_SECONDS))

__all__ = ["create_gateway"]
