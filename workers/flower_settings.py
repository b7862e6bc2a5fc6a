"""Flower's configuration file (`--conf`): requires the login for the metrics and the health check too.

Flower itself requires it for all other pages. Only Flower runs this file, at its start.
"""

from __future__ import annotations

from flower.views import monitor
from tornado import web

for _handler in (monitor.Metrics, monitor.Healthcheck):
    _handler.get = web.authenticated(_handler.get)
