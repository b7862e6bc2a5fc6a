"""A call as another provider, or another model, is asked for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from common.machine.lazy_modules import lazy_module
from common.values.runs.model_provider import Route
from web.gateway.model_apis import model_in_path, path_with_model
from web.gateway.upstream import Request

if TYPE_CHECKING:
    from web.gateway.requests import request_body
else:
    request_body = lazy_module("web.gateway.requests.request_body")


def rerouted(request: Request, route: Route, model: str) -> Request | None:
    """The request as the route needs it; None if it can't be sent there. model: as the request names it."""
    wanted = route.model or model
    offered = route.provider.models
    if offered and not {wanted, *request_body.other_models_of(request.body)}.issubset(offered):
        return None
    if route.model is None:
        return request
    if model_in_path(request.path) is not None:
        return replace(request, path=path_with_model(request.path, wanted))
    if "content-encoding" in request.headers:
        return None
    body = request_body.with_model(request.body, wanted)
    return None if body is None else replace(request, body=body)
