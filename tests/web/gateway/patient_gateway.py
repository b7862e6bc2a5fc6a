"""The gateway, which waits for a database that stands still for longer than the product does before it ends.

Served with `--graceful-timeout 60`: what is under way is recorded 3 s after the signal, as in the product.
"""

from __future__ import annotations

from web.app import create_gateway
from web.gateway import call_log
from web.http import slow_heads

call_log.PARTING_SECONDS = 30.0
slow_heads._RECORDING_SECONDS = 57.0

__all__ = ["create_gateway"]
