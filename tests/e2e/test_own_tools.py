"""What an operator's own tools are told of: a trace of a task, and no error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.doubles.otlp_receiver import OtlpReceiver
from tests.doubles.sentry_receiver import SentryReceiver
from tests.e2e.client import Client
from tests.e2e.instance import Instance, running, wait_until

pytestmark = pytest.mark.slow

TRACE_ID, OURS = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
STEPS = "```steps\n- run: echo $TRACEPARENT > trace.txt\n```\n"
CHAIN = [
    "aiworker-web: POST /api/tasks",
    "aiworker-worker: job run.prepare",
    "aiworker-agent: agent run",
    "aiworker-web: POST /api/runner/runs/<id:run_id>/finish",
    "aiworker-worker: job run.verify",
    "aiworker-worker: job task.publish",
]


@dataclass(frozen=True)
class Watched:
    instance: Instance
    client: Client
    traces: OtlpReceiver
    errors: SentryReceiver


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with OtlpReceiver() as traces, SentryReceiver() as errors:
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": traces.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "SENTRY_DSN": errors.dsn,
            "AIWORKER_OUTGOING_ALLOW": "127.0.0.1",
        }
        with running(tmp_path_factory.mktemp("instance"), **environ) as instance:
            client = Client.login(instance.url, "admin", instance.password)
            yield Watched(instance, client, traces, errors)
            client.close()


def test_a_trace_goes_from_the_request_over_its_jobs_to_the_run_and_what_follows(watched: Watched) -> None:
    client, receiver = watched.client, watched.traces
    project = client.post("/projects", {"name": "Traced", "starter": "page"}, 201)["project"]
    traced = Client(watched.instance.url, client.token)
    traced._session.headers["traceparent"] = f"00-{TRACE_ID}-{OURS}-01"
    task = traced.post("/tasks", {"projectId": project["id"], "title": "Trace", "description": STEPS}, 201)["task"]
    wait_until("the task to be ready", lambda: _state(client, task["id"]) == "ready_to_test")
    wait_until("all spans", lambda: set(CHAIN) <= set(receiver.of_trace(TRACE_ID)))
    diff = str(client.get(f"/tasks/{task['id']}/diff"))

    spans = receiver.of_trace(TRACE_ID)
    posted, prepared, run, finished, verified, published = (spans[name] for name in CHAIN)
    assert posted.parent_id == OURS
    assert (prepared.parent_id, run.parent_id) == (posted.span_id, posted.span_id)
    assert (finished.parent_id, verified.parent_id) == (run.span_id, finished.span_id)
    assert published.parent_id == verified.span_id
    assert posted.attributes["http.response.status_code"] == 201
    assert (run.attributes["aiworker.task"], run.attributes["aiworker.outcome"]) == (task["id"], "completed")
    assert verified.attributes["aiworker.subject"] == run.attributes["aiworker.run"]
    # The agent's programs go on with it.
    assert f"00-{TRACE_ID}-{run.span_id}-01" in diff
    assert [one.name for one in spans.values() if one.is_failed] == []
    told = str([one.attributes for one in receiver.spans])
    assert client.token not in told
    assert "Trace" not in told
    traced.close()
    assert watched.errors.events == []


def _state(client: Client, task_id: str) -> str:
    return str(client.get(f"/tasks/{task_id}")["task"]["state"])
