"""A live run with a model token, model providers that are a scripted upstream, and the calls that were recorded."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from common.models.run import Run
from common.models.spend import ModelCall
from common.secrets.sealing import digest
from common.services.spend import model_providers
from common.services.spend.model_providers import NewProvider
from common.services.spend.model_tokens import new_model_token
from tests.long_waits import LONG_WAIT_SECONDS
from tests.web.factories import a_live_run, a_project, a_task, end, somebody
from tests.web.gateway.provider_answers import Format
from tests.web.gateway.upstream import Upstream, upstream
from tests.web.world import all_of, get, put
from web.gateway import token_cache
from web.gateway.call_log import call_log

KEY = "sk-a-provider-key-that-nobody-may-see"


class RunningAgent:
    """What a CLI in a run has: the gateway's app, and a token."""

    def __init__(self, app: Flask, given: Upstream) -> None:
        token_cache.forget_all()
        self.app, self.upstream = app, given
        self.task = a_task(a_project())
        self.run = a_live_run(self.task)
        self.token = new_model_token()
        put(Run, self.run.id, model_digest=digest(self.token), driver="claude")

    def provider(self, name: str, *, api: str = "", base_url: str = "", **values: object) -> None:
        """Add one that leads to the upstream; an OpenAI base URL contains the version."""
        api = api or name
        base_url = base_url or self.upstream.url + ("/v1" if api == "openai" else "")
        values = {"key": KEY, **values}
        model_providers.create_provider(NewProvider(name, api, base_url, **values), by=somebody())  # type: ignore[arg-type]

    def call(self, format_: Format, *, path: str = "", name: str = "", **options: object) -> TestResponse:
        """The whole answer to a request of the format. options: of the client; input_stream: instead of the body."""
        options.setdefault("buffered", True)
        headers = {"Content-Type": "application/json", "x-api-key": self.token, **options.pop("headers", {})}  # type: ignore[dict-item]
        if "input_stream" not in options:
            options["data"] = format_.request
        address = f"/gateway/{name or format_.name}/{path or format_.path}"
        return self.app.test_client().post(address, headers=headers, **options)  # type: ignore[arg-type]

    def calls(self) -> list[ModelCall]:
        """The recorded ones, in order."""
        assert call_log().flush(LONG_WAIT_SECONDS)
        return sorted(all_of(ModelCall), key=lambda call: call.id)

    def usage(self) -> dict[str, float]:
        assert call_log().flush(LONG_WAIT_SECONDS)
        usage: dict[str, float] = get(Run, self.run.id).usage
        return usage

    def is_over(self) -> None:
        end(self.run)
        token_cache.forget_all()


class LateBody(io.BytesIO):
    """A request's body that arrives after something else has happened."""

    def __init__(self, body: bytes, first: Callable[[], object]) -> None:
        super().__init__(body)
        self._first: Callable[[], object] | None = first

    def readinto(self, buffer: Any) -> int:
        first, self._first = self._first, None
        if first is not None:
            first()
        return super().readinto(buffer)


@pytest.fixture
def provider() -> Iterator[Upstream]:
    with upstream() as made:
        yield made


@pytest.fixture
def second() -> Iterator[Upstream]:
    """Another provider."""
    with upstream() as made:
        yield made


@pytest.fixture
def agent(app: Flask, provider: Upstream) -> Iterator[RunningAgent]:
    """On both databases."""
    yield from _running(app, provider)


@pytest.fixture
def plain_agent(plain_app: Flask, provider: Upstream) -> Iterator[RunningAgent]:
    """On SQLite alone: for what is decided without a database."""
    yield from _running(plain_app, provider)


def _running(app: Flask, provider: Upstream) -> Iterator[RunningAgent]:
    yield RunningAgent(app, provider)
    # A call that is recorded later would stand in the database of the next test.
    assert call_log().flush(LONG_WAIT_SECONDS)
