"""Reports errors with Sentry's library. Loaded by name, by common/telemetry/error_reports.py alone.

Only what is handed over is reported: the library's own integrations, which read requests, environments and logs, stay
off. Every text of a report passes the mask of known key formats, and it holds no values of variables.
"""

from __future__ import annotations

from typing import Any

import sentry_sdk

from common.secrets.masking import KNOWN_FORMATS

DEEPEST = 40
LATEST_SECONDS = 2
LEFT_OUT = ("server_name", "user", "request", "modules", "breadcrumbs")


def start(dsn: str, *, environment: str | None) -> None:
    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        before_send=_masked,
        default_integrations=False,
        auto_enabling_integrations=False,
        include_local_variables=False,
        include_source_context=False,
        send_default_pii=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        send_client_reports=False,
        auto_session_tracking=False,
        shutdown_timeout=LATEST_SECONDS,
    )


def report(error: BaseException, tags: dict[str, str]) -> None:
    with sentry_sdk.new_scope() as scope:
        scope.set_tags(tags)
        sentry_sdk.capture_exception(error)


def flush() -> None:
    sentry_sdk.flush(LATEST_SECONDS)


def _masked(event: Any, _hint: Any) -> Any:
    for name in LEFT_OUT:
        event.pop(name, None)
    return _without_secrets(event, 0)


def _without_secrets(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return KNOWN_FORMATS(value)
    if depth >= DEEPEST:
        return None
    if isinstance(value, dict):
        return {key: _without_secrets(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_secrets(item, depth + 1) for item in value]
    return value
