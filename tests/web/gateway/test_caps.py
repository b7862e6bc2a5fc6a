"""Caps of spending at the gateway: the call after a cap is reached is refused, whoever made the calls before it."""

from __future__ import annotations

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from common.models import Project, Task
from common.models.run import Run
from common.models.spend import ModelCall, SpendCounter
from common.secrets.sealing import digest
from common.services.spend.cap_settings import update_platform_caps
from common.services.spend.model_tokens import new_model_token
from common.transaction import Transaction, transactional
from common.values.testing.agent_review import Purpose
from tests.web.factories import a_live_run, a_task, somebody
from tests.web.gateway.conftest import LateBody, RunningAgent
from tests.web.gateway.provider_answers import FORMATS, Format
from tests.web.gateway.upstream import Script
from tests.web.world import all_of, put
from web.gateway import call_log
from web.gateway.concurrent_calls import MOST_WITH_A_CAP
from web.gateway.model_apis import error_message

SSE = "text/event-stream"
SONNET = FORMATS["anthropic"]
OF_ONE_CALL = 120 + 30 + 77
"""The tokens of an answer that count: those that were read from a cache do not."""
every_format = pytest.mark.parametrize("format_", FORMATS.values(), ids=FORMATS)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer is kept back until its call is counted, however busy the machine is."""
    monkeypatch.setattr(call_log, "COUNTED_SECONDS", 60.0)


def _answering(agent: RunningAgent, format_: Format = SONNET) -> None:
    agent.provider(format_.name)
    agent.upstream.script = Script(format_.stream, content_type=SSE)


def _calls_until_refused(agent: RunningAgent, format_: Format = SONNET, most: int = 60) -> str:
    """Call, each time at once after the answer, until the gateway refuses; what it says then."""
    for _ in range(most):
        reply = agent.call(format_)
        if reply.status_code != 200:
            assert reply.status_code == 400
            return str(error_message(reply.data))
    raise AssertionError(f"{most} calls were admitted")


def test_a_run_stops_within_one_call_after_its_cap(agent: RunningAgent) -> None:
    put(Task, agent.task.id, caps={"tokens": 10 * OF_ONE_CALL - 1})
    _answering(agent)

    said = _calls_until_refused(agent)

    assert len(agent.upstream.asked) == 10
    assert said == (
        "The budget is used up. The task has used 2,270 of 2,269 tokens. A member can raise the task's cap: then the "
        "task goes on."
    )


def test_a_compressed_request_is_refused_under_a_cap(plain_agent: RunningAgent) -> None:
    """A megabyte of text may be packed into a kilobyte, of which its tokens would be estimated."""
    put(Task, plain_agent.task.id, caps={"tokens": 10**6})
    _answering(plain_agent)
    packed = replace(SONNET, request=gzip.compress(SONNET.request))

    reply = plain_agent.call(packed, headers={"Content-Encoding": "gzip"})

    assert (reply.status_code, "leave out `Content-Encoding`" in reply.text) == (400, True)
    assert plain_agent.upstream.asked == []


def test_a_context_that_the_provider_keeps_is_refused_under_a_cap(plain_agent: RunningAgent) -> None:
    """What it costs is unknown if the call is cut off: the request is then all that its input can be estimated from."""
    put(Task, plain_agent.task.id, caps={"tokens": 10**6})
    _answering(plain_agent, FORMATS["responses"])

    for field in ("previous_response_id", "conversation", "prompt"):
        body = json.dumps({"model": "gpt-5.5", "input": "go on", "stream": True, field: {"id": "kept"}}).encode()
        reply = plain_agent.call(replace(FORMATS["responses"], request=body))
        assert (reply.status_code, f"`{field}`" in reply.text) == (400, True)
    assert plain_agent.upstream.asked == []


def test_a_body_that_arrives_after_its_cap_is_reached_is_passed_on_to_nobody(agent: RunningAgent) -> None:
    """Else a run could open as many calls as it likes in advance, and complete one after the other."""
    put(Task, agent.task.id, caps={"tokens": 1})
    _answering(agent)
    late = LateBody(SONNET.request, lambda: agent.call(SONNET))

    reply = agent.call(SONNET, input_stream=late, content_length=len(SONNET.request))

    assert (reply.status_code, "The budget is used up" in str(error_message(reply.data))) == (400, True)
    assert len(agent.upstream.asked) == 1


@pytest.mark.slow
def test_calls_at_once_pass_a_cap_by_a_bounded_number(agent: RunningAgent) -> None:
    put(Task, agent.task.id, caps={"tokens": 1})
    _answering(agent)
    under_way = [agent.call(SONNET, buffered=False) for _ in range(MOST_WITH_A_CAP)]
    assert [reply.status_code for reply in under_way] == [200] * MOST_WITH_A_CAP

    one_more = agent.call(SONNET)

    assert (one_more.status_code, one_more.headers["Retry-After"]) == (503, "1")
    assert "try again" in str(error_message(one_more.data))
    for reply in under_way:
        reply.close()
    assert agent.call(SONNET).status_code == 400
    assert len(agent.upstream.asked) == MOST_WITH_A_CAP


def test_a_review_stops_within_one_call_after_its_limit(plain_agent: RunningAgent) -> None:
    put(Run, plain_agent.run.id, purpose=Purpose.REVIEW)
    review = {"mode": "advisory", "driver": "claude", "limits": {"maxTokens": 2 * OF_ONE_CALL}}
    put(Project, plain_agent.task.project_id, limits={"maxTokens": 1}, agent_review=review)
    _answering(plain_agent)

    assert "The run has used " in _calls_until_refused(plain_agent)
    assert len(plain_agent.upstream.asked) == 2


@every_format
def test_each_form_of_answer_is_counted_before_its_end_arrives(agent: RunningAgent, format_: Format) -> None:
    put(Task, agent.task.id, caps={"tokens": 1})
    _answering(agent, format_)

    assert agent.call(format_).data == b"".join(format_.stream)
    agent.upstream.script = Script([format_.whole], length=len(format_.whole))

    assert agent.call(format_).status_code == 400
    put(Task, agent.task.id, caps={"tokens": 10**6})
    assert agent.call(format_).data == format_.whole
    assert len(all_of(ModelCall)) == 2


@pytest.mark.usefixtures("within_a_day")
@pytest.mark.parametrize(
    ("caps", "says"),
    [
        ({"total": {"costUsd": 0.001}}, "0.0029 of 0.001 USD. A maintainer can raise the project's cap"),
        ({"day": {"tokens": 100}}, "227 of 100 tokens today (UTC). A maintainer can raise the project's daily cap"),
        ({"task": {"tokens": 100}}, "The task has used 227 of 100 tokens. A member can raise the task's cap"),
    ],
)
def test_the_caps_of_a_project_hold(agent: RunningAgent, caps: dict[str, object], says: str) -> None:
    put(Project, agent.task.project_id, caps=caps)
    _answering(agent)

    assert says in _calls_until_refused(agent)
    assert len(agent.upstream.asked) == 1


@pytest.mark.usefixtures("within_a_day")
def test_the_caps_of_the_platform_hold_and_end_with_the_day(agent: RunningAgent) -> None:
    update_platform_caps({"day": {"tokens": 100}}, by=somebody())
    _answering(agent)

    said = _calls_until_refused(agent)

    today = datetime.now(UTC).date()
    assert "An administrator can raise the platform's daily cap" in said
    assert f"by itself on {today + timedelta(days=1)} at 00:00 UTC" in said
    _make_counters_of(str(today - timedelta(days=1)))
    assert agent.call(SONNET).status_code == 200


@transactional
def _make_counters_of(tx: Transaction, day: str) -> None:
    tx.session.execute(update(SpendCounter).where(SpendCounter.period != "all").values(period=day))


class OtherRun(RunningAgent):
    """Another run of the same project, with the same gateway and provider."""

    def __init__(self, of: RunningAgent, title: str) -> None:
        self.app, self.upstream = of.app, of.upstream
        with_project = all_of(Project, Project.id == of.task.project_id)[0]
        self.task = a_task(with_project, title)
        self.run = a_live_run(self.task)
        self.token = new_model_token()
        put(Run, self.run.id, model_digest=digest(self.token), driver="claude")


@pytest.mark.slow
def test_four_runs_share_the_cap_of_their_project(agent: RunningAgent) -> None:
    cap = 10_000
    put(Project, agent.task.project_id, caps={"total": {"tokens": cap}})
    _answering(agent)
    runs = [agent, *(OtherRun(agent, f"Task {number}") for number in range(3))]

    with ThreadPoolExecutor(len(runs)) as pool:
        said = list(pool.map(_calls_until_refused, runs))

    spent = len(agent.upstream.asked) * OF_ONE_CALL
    assert cap <= spent <= cap + len(runs) * OF_ONE_CALL
    assert all("The project has used" in one for one in said)
    (counter,) = all_of(SpendCounter, SpendCounter.scope == "project", SpendCounter.period == "all")
    assert counter.tokens == spent


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"model": "gpt-5", "background": true}', "can't count what a call with `background` costs; leave out"),
        (b"\x28\xb5\x2f\xfd", "no JSON object"),
    ],
    ids=["background", "compressed"],
)
def test_an_answer_in_the_background_is_refused(plain_agent: RunningAgent, body: bytes, says: str) -> None:
    """The reply to it comes at once and names no usage, so no limit and no cap would hold."""
    plain_agent.provider("openai")

    reply = plain_agent.call(replace(FORMATS["responses"], request=body))

    assert reply.status_code == 400
    assert says in str(error_message(reply.data))
    assert plain_agent.upstream.asked == []


@pytest.mark.parametrize("limits", [{"maxTokens": 2 * OF_ONE_CALL}, {"maxCostUsd": 0.005}], ids=["tokens", "money"])
def test_a_run_stops_within_one_call_after_its_own_limit(agent: RunningAgent, limits: dict[str, float]) -> None:
    put(Project, agent.task.project_id, limits=limits)
    _answering(agent)

    assert "The run has " in _calls_until_refused(agent)
    assert len(agent.upstream.asked) == 2
