"""/gateway/<provider>/<path>: authenticates a run by its model token and passes its call on.

Everything that the gateway itself refuses is answered in the form of the provider's API, so that a CLI shows why.
"""

from __future__ import annotations

import re
from contextlib import ExitStack, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import gevent
import structlog
from flask import Blueprint, Response, request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from common.errors import Busy, Misconfigured
from common.machine.lazy_modules import lazy_module
from common.services.spend.model_tokens import MODEL_TOKEN_PREFIX, ModelAccess
from common.values.runs.model_provider import MODEL_APIS, ModelProvider, Route
from web.gateway.answers.bodies import is_gevent
from web.gateway.answers.early_end import EndedEarly, Opening
from web.gateway.answers.limit_reading import Limit, read_limit
from web.gateway.answers.streams import Answer, Call
from web.gateway.answers.usage_formats import Usage
from web.gateway.answers.usage_readers import reader_for
from web.gateway.concurrent_calls import MOST_WITH_A_CAP, BodyMemory, under_way
from web.gateway.model_apis import (
    ENDPOINTS,
    Endpoint,
    api_of_path,
    error_body,
    error_message,
    find_endpoint,
    model_in_path,
)
from web.gateway.refusal import Refused
from web.gateway.requests.checks import (
    passed_query,
    require_others_offered,
    require_readable,
    require_whole_context,
)
from web.gateway.retries import PERMANENT_FAULTS, ProviderAttempts, note_answer, require_not_limited
from web.gateway.token_cache import access_of
from web.gateway.upstream import Request, UpstreamFault, headers_for_caller, open_call, own_via
from web.http.auth import public
from web.http.server.request_id import request_id

if TYPE_CHECKING:
    import urllib3

    from web.gateway.requests import request_body
else:
    request_body = lazy_module("web.gateway.requests.request_body")

gateway = Blueprint("gateway", __name__, url_prefix="/gateway")
log = structlog.get_logger()

MOST_REQUEST_BYTES = 32 * 2**20
PIECE_BYTES = 2**16
BODY_SECONDS = 300.0
"""How long a request's body may take to arrive. The largest one needs 110 kB/s for it."""
MOST_ERROR_BYTES = 2**20
"""An error of a provider's is read to its end before it is passed on, so that a repeated key can be masked."""
ERROR_SECONDS = 30.0
"""How long the text of an error may take to arrive."""
_TOKEN = re.compile(rf"{MODEL_TOKEN_PREFIX}_[A-Za-z0-9_-]{{20,100}}")


@gateway.route("/<provider_name>/<path:path>", methods=["GET", "POST"])
@public
def pass_on(provider_name: str, path: str) -> Response:
    """Pass the call on to the provider and its answer back, unchanged."""
    api = provider_name if provider_name in MODEL_APIS else api_of_path(path)
    try:
        first, provider = _admit(provider_name)
        api = provider.api
        is_paid = _endpoint(provider, path).format is not None
        with ExitStack() as ends:
            at_once = ends.enter_context(under_way(first.run_id, is_paid=is_paid))
            with BodyMemory(first.run_id) as body_memory:
                _require_few(first, at_once, is_paid=is_paid)
                body = _body(body_memory)
                # A caller may send the body much later than the head. By then, the run may be over or have reached a
                # cap.
                access, provider = _admit(provider_name)
                _require_few(access, at_once, is_paid=is_paid)
                reply = _passed(access, provider, _endpoint(provider, path), path, body, body_memory)
            if isinstance(reply.response, Answer):
                reply.response.at_end(ends.pop_all().close)
            return reply
    except Refused as refused:
        return _refusal(api, refused)
    except RequestEntityTooLarge:
        return _refusal(api, Refused(413, f"A request may have at most {MOST_REQUEST_BYTES} bytes"))
    except ClientDisconnected:
        return _refusal(api, Refused(400, "The request ended too early"))
    except UpstreamFault as fault:
        log.warning("a model provider failed", provider=provider_name, reason=fault.message, request_id=request_id())
        return _refusal(api, Refused(fault.status, fault.message))
    except Misconfigured as error:
        log.error("a model provider's key can't be read", provider=provider_name, reason=str(error))
        return _refusal(api, Refused(500, "The platform can't read the model provider's key; its log says why"))
    except Busy as error:
        log.warning("the database is busy or away", request_id=request_id(), reason=str(error))
        return _refusal(api, Refused(503, "The platform's database does not answer; try again", 2))


def _admit(provider_name: str) -> tuple[ModelAccess, ModelProvider]:
    """What the request's token gives now. Raises Refused if it may make no call, or not this one."""
    token = _model_token()
    access = None if token is None else access_of(token, provider_name)
    if access is None:
        raise Refused(401, "Invalid model token, or its run is over")
    if own_via() in request.headers.get("Via", ""):
        raise Refused(508, f"The baseUrl of {provider_name} leads back to this gateway; set it to the provider's")
    if access.used_up is not None and request.method == "POST":
        # 400, not 429: a CLI would try again.
        raise Refused(400, access.used_up)
    if request.method == "POST":
        require_not_limited(access)
    if access.provider is None:
        raise Refused(404, f"There is no enabled model provider {provider_name}; an administrator can add one")
    return access, access.provider


def _require_few(access: ModelAccess, at_once: int, *, is_paid: bool) -> None:
    if is_paid and access.is_capped and at_once > MOST_WITH_A_CAP:
        # 503: not every CLI tries again after a 429.
        raise Refused(503, f"A run with a cap or limit may have {MOST_WITH_A_CAP} calls under way; try again", 1)


def _model_token() -> str | None:
    """The model token, from wherever the CLIs put their key. None if there is none."""
    authorization = request.headers.get("Authorization", "")
    given = (
        request.headers.get("x-api-key", ""),
        authorization.partition(" ")[2].strip() if authorization[:7].lower() == "bearer " else "",
        request.headers.get("x-goog-api-key", ""),
        request.args.get("key", ""),
    )
    return next((one for one in given if _TOKEN.fullmatch(one)), None)


def _endpoint(provider: ModelProvider, path: str) -> Endpoint:
    found = find_endpoint(provider.api, request.method, path)
    if found is None:
        known = ", ".join(one.shown for one in ENDPOINTS[provider.api])
        raise Refused(404, f"The gateway passes on for {provider.name}: {known}")
    return found


def _passed(
    access: ModelAccess, provider: ModelProvider, endpoint: Endpoint, path: str, body: bytes, body_memory: BodyMemory
) -> Response:
    """The answer of the provider, or of its fallback while the provider is limited."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    model = model_in_path(path) or request_body.model_of(body)
    if provider.models and request.method == "POST":
        _require_offered(provider, model)
        require_others_offered(provider, body)
    if access.is_capped and endpoint.format is not None:
        require_readable(headers)
    if endpoint.format == "responses":
        _require_foreground(body)
        if access.is_capped:
            require_whole_context(body)
    model = model or ""
    query = passed_query(provider.api, request.query_string.decode("latin-1"))
    given = Request(request.method, path, query, headers, body)
    tries = ProviderAttempts(access, given, model, body_memory)
    for route, sent in tries.requests():
        call = Call.begin(
            access, route.provider, model=route.model or model, body=sent.body,
            is_recorded=endpoint.format is not None,
        )  # fmt: skip
        try:
            reply, limit = _asked(call, endpoint, sent, tries, route)
            if limit is None and reply.status_code in PERMANENT_FAULTS:
                limit = tries.fault_of_fallback(route, reply.status_code, error_message(reply.data))
        except UpstreamFault as fault:
            limit = tries.fault_of_fallback(route, fault.status, fault.message)
            if limit is None:
                raise
            reply = _refusal(provider.api, Refused(fault.status, fault.message))
        if limit is None or not tries.tries_next_route(route, call.began, reply, limit, is_paid=call.is_recorded):
            return reply
    return tries.conclude()


def _asked(
    call: Call, endpoint: Endpoint, sent: Request, tries: ProviderAttempts, route: Route
) -> tuple[Response, Limit | None]:
    """The provider's answer, and the limit that it tells of."""
    provider = call.provider
    client = request.environ.get("gunicorn.socket")
    answer, content = None, b""
    try:
        with Opening(client):
            answer = open_call(provider, sent)
            status = answer.status_code
            if status >= 400:
                call.first_byte_ms = round(answer.elapsed.total_seconds() * 1000)
                content = _error_content(answer.raw, provider.key)
    except UpstreamFault as fault:
        call.end(0, error=fault.message)
        raise
    except EndedEarly as cut:
        log.warning("a model call was cut off", run=call.access.run_id, provider=provider.name, reason=cut.reason)
        if answer is None:
            # The provider may have worked on it for minutes, if it has the request.
            call.end(0, Usage() if cut.is_sent else None, cut.reason)
        else:
            answer.close()
            call.end(answer.status_code, error=cut.reason)
        raise Refused(503, f"The call was cut off, as {cut.reason}; try again", 1) from None
    passed_headers = headers_for_caller(answer, provider.key)
    if status >= 400:
        answer.close()
        call.end(status, error=error_message(content) or f"the provider answered {status}")
        kept = [(name, value) for name, value in _without_length(passed_headers) if name.lower() != "content-encoding"]
        named = {name.lower(): value for name, value in passed_headers}
        return Response(content, status, kept), read_limit(status, named, content, datetime.now(UTC))
    # The answer may take an hour. Its request is not needed any more.
    answer.request.body = None
    kind, encoding = answer.headers.get("Content-Type", ""), answer.headers.get("Content-Encoding", "")
    reader = reader_for(endpoint.format, kind, encoding)
    stream = Answer(call, answer, reader, client, status)
    try:
        ended = stream.begin() if tries.may_try_next_route(route) else None
        if ended is not None:
            return Response(ended[0], status, _without_length(passed_headers)), ended[1]
        stream.on_limit(tries.limit_within(route, call, note_answer(call)))
    except BaseException:
        stream.close()
        raise
    reply = Response(stream, status, passed_headers, direct_passthrough=True)
    reply.call_on_close(stream.close)
    return reply, None


def _without_length(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() != "content-length"]


def _error_content(raw: urllib3.HTTPResponse, key: str | None) -> bytes:
    """The body of a provider's error, decompressed and with its key masked. Empty if it can't be decompressed, or is
    not whole after ERROR_SECONDS: it could contain the key, or end in half of it.
    """
    if unknown := _unknown_encodings(raw):
        log.warning("a model provider's error could not be read", reason=f"its encoding is {', '.join(unknown)}")
        return b""
    content = b""
    try:
        with gevent.Timeout(ERROR_SECONDS, False) if is_gevent() else nullcontext():
            received = b""
            for piece in raw.stream(2**14, decode_content=True):
                received += piece
                if len(received) >= MOST_ERROR_BYTES:
                    break
            content = received[:MOST_ERROR_BYTES]
    except Exception as error:  # noqa: BLE001 (the status is there; what is missing of its text is not worth a failure)
        log.warning("a model provider's error could not be read", reason=type(error).__name__)
    return content.replace(key.encode(), b"***") if key else content


def _unknown_encodings(raw: urllib3.HTTPResponse) -> list[str]:
    """The ways in which the body is compressed that can't be read here."""
    encodings = {one.strip().lower() for one in raw.headers.get("Content-Encoding", "").split(",")}
    return sorted(encodings.difference(raw.CONTENT_DECODERS, {"", "identity"}))


def _body(body_memory: BodyMemory) -> bytes:
    """The whole body. Raises Refused if it has not arrived after BODY_SECONDS, or if there is no room for it."""
    request.max_content_length = MOST_REQUEST_BYTES
    if (request.content_length or 0) > MOST_REQUEST_BYTES:
        raise RequestEntityTooLarge
    too_slow = Refused(408, f"The request took longer than {BODY_SECONDS:g} s to arrive")
    with gevent.Timeout(BODY_SECONDS, too_slow) if is_gevent() else nullcontext():
        body = _received(body_memory)
    # A chunked body has no Content-Length, and werkzeug 3.1 cuts it off at the limit without an error.
    if request.content_length is None and len(body) >= MOST_REQUEST_BYTES:
        raise RequestEntityTooLarge
    return body


def _received(body_memory: BodyMemory) -> bytes:
    body = bytearray()
    # A read after the last byte of the longest body would raise RequestEntityTooLarge.
    while piece := request.stream.read(min(PIECE_BYTES, MOST_REQUEST_BYTES - len(body))):
        body_memory.take(len(piece))
        body += piece
        if len(body) >= MOST_REQUEST_BYTES:
            break
    return bytes(body)


def _require_offered(provider: ModelProvider, model: str | None) -> None:
    """Raise Refused unless the provider offers the request's model. None: it is unknown."""
    if model is None:
        raise Refused(400, "The request is no JSON object, so its model is unknown")
    if model not in provider.models:
        asked, offered = model or None, ", ".join(provider.models)
        raise Refused(404, f"The provider {provider.name} does not offer the model {asked}; it offers: {offered}")


def _require_foreground(body: bytes) -> None:
    """Raise Refused if the answer would come after the reply: what it costs is not in the reply."""
    is_background = request_body.is_for_background(body)
    if is_background is None:
        raise Refused(400, "The request is no JSON object, so the gateway can't tell whether it has `background`")
    if is_background:
        raise Refused(400, "The gateway can't count what a call with `background` costs; leave out `background`")


def _refusal(api: str, refused: Refused) -> Response:
    reply = Response(error_body(api, refused.status, refused.message), refused.status, content_type="application/json")
    if refused.retry_after_seconds is not None:
        reply.headers["Retry-After"] = str(refused.retry_after_seconds)
    if refused.status in {408, 413}:
        # The rest of the body is not read.
        reply.headers["Connection"] = "close"
    return reply
