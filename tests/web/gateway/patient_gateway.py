"""The gateway, which waits for a database that stands still for longer than the product does before it ends.

Served with `--graceful-timeout 60`: what is under way is recorded 3 s after the signal, as in the product.
TEST_BODY_SECONDS, TEST_ERROR_SECONDS, TEST_REST_SECONDS: how long may take to arrive a request's body, a provider's
error, and the rest of an answer in JSON whose caller has gone away. TEST_HOLD_SECONDS: how long a beginning is held.
"""

from __future__ import annotations

import os

from web.app import create_gateway
from web.gateway import call_log, gateway_routes, streams
from web.http import slow_heads

call_log.PARTING_SECONDS = 30.0
slow_heads._RECORDING_SECONDS = 57.0
gateway_routes.BODY_SECONDS = float(os.environ.get("TEST_BODY_SECONDS", gateway_routes.BODY_SECONDS))
gateway_routes.ERROR_SECONDS = float(os.environ.get("TEST_ERROR_SECONDS", gateway_routes.ERROR_SECONDS))
streams.REST_SECONDS = float(os.environ.get("TEST_REST_SECONDS", streams.REST_SECONDS))
streams.HOLD_SECONDS = float(os.environ.get("TEST_HOLD_SECONDS", streams.HOLD_SECONDS))

__all__ = ["create_gateway"]
