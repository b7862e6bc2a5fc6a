"""Flower's configuration file (`--conf`): the login holds for its metrics and its health check, too.

Flower itself asks for it everywhere else. Read by Flower alone, which runs it when it starts.
"""

from __future__ import annotations

from flower.views import monitor
from tornado import web

for _handler in (monitor.Metrics, monitor.Healthcheck):
    _handler.get = web.authenticated(_handler.get)
