"""A call as another provider, or another model, is asked for it."""

from __future__ import annotations

import json
from dataclasses import replace

from common.values.model_provider import Route
from web.gateway.model_apis import model_in_path, path_with_model
from web.gateway.upstream import Request


def rerouted(request: Request, route: Route, model: str) -> Request | None:
    """The request as the route needs it; None if it can't be sent there. model: as the request names it."""
    wanted = route.model or model
    if route.provider.models and wanted not in route.provider.models:
        return None
    if route.model is None:
        return request
    if model_in_path(request.path) is not None:
        return replace(request, path=path_with_model(request.path, wanted))
    if "content-encoding" in request.headers:
        return None
    try:
        document = json.loads(request.body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    body = json.dumps({**document, "model": wanted}, ensure_ascii=False, separators=(",", ":"))
    return replace(request, body=body.encode("utf-8", "surrogatepass"))
