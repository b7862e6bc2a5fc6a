"""The outgoing webhook: what it is told, by whom it is set, and that nothing is lost or sent for ever."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from common.errors import Conflict
from common.jobs.catalogue import SEND_WEBHOOK
from common.models import Job, Project, Question, Task, TaskGroup, WebhookDelivery
from common.services.lifecycle import group_states as group_lifecycle
from common.services.lifecycle import task_states
from common.services.outgoing_webhook import delivering, receiver_health
from common.services.outgoing_webhook.collecting import collect_notices
from common.services.outgoing_webhook.delivering import DELAYS_SECONDS
from common.services.outgoing_webhook.notices import chat_text
from common.services.tasks import questions
from common.settings import settings
from common.transaction import Transaction, transactional
from common.values.delivery.notice import CHOSEN
from common.values.runs.parking import Parked
from common.values.states import By, GroupState, Role
from tests.doubles.webhook_receiver import Received, WebhookReceiver
from tests.web.factories import somebody
from tests.web.world import World, all_of, at_once, get, put, run_jobs

BY = somebody()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as started:
        monkeypatch.setenv("AIWORKER_OUTGOING_ALLOW", started.host)
        settings.cache_clear()
        yield started
    settings.cache_clear()


@pytest.fixture
def admin(world: World) -> FlaskClient:
    return world.client_of("root", Role.ADMIN)


@pytest.fixture
def plain_admin(plain_world: World) -> FlaskClient:
    return plain_world.client_of("root", Role.ADMIN)


def patch(client: FlaskClient, status: int = 200, **body: Any) -> Any:
    reply = client.patch("/api/webhook", json=body)
    assert reply.status_code == status, reply.json
    return reply.json


def send_all() -> None:
    """Run the job until it has nothing more to send now."""
    for _ in range(20):
        due = [row for row in all_of(WebhookDelivery) if row.next_at is not None and row.attempts == 0]
        if not due:
            return
        run_jobs(SEND_WEBHOOK)
    raise AssertionError("the job does not come to an end")


def deliveries(client: FlaskClient) -> list[dict[str, Any]]:
    reply = client.get("/api/webhook/deliveries")
    assert reply.status_code == 200, reply.json
    found: list[dict[str, Any]] = reply.json["webhookDeliveries"]
    return found


@transactional
def reach(tx: Transaction, task_id: str, step: str, *arguments: Any, **options: Any) -> None:
    getattr(task_states, step)(tx, tx.lock(Task, task_id), *arguments, **options)


@transactional
def ask(tx: Transaction, task_id: str, text: str) -> None:
    questions.ask(tx, tx.lock(Task, task_id), text, context=None, options=[], run_id=None)


@transactional
def move(tx: Transaction, group_id: str, *states: GroupState) -> None:
    group = tx.lock(TaskGroup, group_id)
    for state in states:
        group.state_ = str(GroupState.DEPLOYING_STAGING)
        if state is GroupState.PRODUCTION:
            group.state_ = str(GroupState.DEPLOYING_PRODUCTION)
        tx.record(group.move_to(state, By.PLATFORM))


@transactional
def fail_group(tx: Transaction, group_id: str, reason: str) -> None:
    group = tx.lock(TaskGroup, group_id)
    group.state_ = str(GroupState.MERGING)
    group_lifecycle.fail_group(tx, group, reason)


def verify(secret: str, got: Received) -> None:
    """As a receiver does, by the specification."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{expected}"


@pytest.mark.slow
def test_everything_that_needs_a_person_is_sent_once_in_order(
    world: World, admin: FlaskClient, receiver: WebhookReceiver
) -> None:
    project = world.project("Shop")
    world.task(project, "Before", state="in_progress")
    patch(admin, url=receiver.url)
    secret = admin.post("/api/webhook/secret").json["secret"]
    asking, ready, failing, capped = (
        world.task(project, title, state="in_progress") for title in ("Ask", "HealthObservation", "Fail", "Dear")
    )
    ask(asking.id, "Which <!channel> @all language?")
    reach(ready.id, "make_ready")
    reach(failing.id, "fail", "no driver knows prose")
    reach(capped.id, "park", Parked.CAP, "5 of 5 dollars are used", until=None)
    group_id = world.group(project, world.approved(project), name="One", targetBranch="production")["id"]
    move(group_id, GroupState.STAGING, GroupState.PRODUCTION)
    red = world.group(project, world.approved(project, "B"), name="Two")["id"]
    fail_group(red, "the test failed")

    assert collect_notices() == 7
    assert collect_notices() == 0
    send_all()

    got = [one.json for one in receiver.received]
    assert [one["data"]["kind"] for one in got] == [
        "question", "review", "failed", "parked", "release", "finished", "release",
    ]  # fmt: skip
    first = got[0]
    link = f"{settings().web.public_url}/#/projects/{project.id}/tasks/{asking.id}"
    assert first["text"] == f"Shop: “Ask” asks\nWhich ‹!channel› @\u200ball language?\n{link}"
    question = all_of(Question)[0]
    assert first["data"] | {"seq": 0} == {
        "kind": "question", "projectId": project.id, "projectName": "Shop", "title": "Ask", "taskId": asking.id,
        "detail": "Which <!channel> @all language?", "link": link, "event": "task:needs_input", "seq": 0,
        "questionId": question.id,
    }  # fmt: skip
    assert got[5]["text"].startswith("Shop: the release “One” runs in production\n")
    assert (got[6]["data"]["detail"], got[6]["data"]["taskGroupId"]) == ("the test failed", red)
    for one in receiver.received:
        verify(secret, one)
    shown = deliveries(admin)
    assert [one["state"] for one in shown] == ["delivered"] * 7
    assert {one["id"] for one in shown} == {one.headers["webhook-id"] for one in receiver.received}
    assert all_of(Job, Job.kind == SEND_WEBHOOK.name, Job.state_ == "queued") == []


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("[Approve](https://evil.example)", "[Approve]\u200b(https://evil.example)"),
        ("[Approve][1]\n[1]: https://evil.example", "[Approve][1]\n[1]\u200b: https://evil.example"),
        ("<https://evil.example|Approve>", "‹https://evil.example|Approve›"),
        ("see https://shop.example (a[0], b)", "see https://shop.example (a[0], b)"),
    ],
)  # fmt: skip
def test_no_address_is_hidden_behind_words(written: str, shown: str) -> None:
    link = "https://aiworker.example/#/x"
    assert chat_text(f"Shop: “{written}” asks", written, link) == f"Shop: “{shown}” asks\n{shown}\n{link}"


@pytest.fixture
def long_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing becomes due by itself, however long the machine stands still."""
    monkeypatch.setattr(delivering, "DELAYS_SECONDS", tuple(86_400 for _delay in delivering.DELAYS_SECONDS))


@pytest.mark.slow
@pytest.mark.usefixtures("long_delays")
def test_a_receiver_that_refuses_is_tried_again_with_the_same_id_and_then_given_up(
    world: World, admin: FlaskClient, receiver: WebhookReceiver
) -> None:
    project = world.project()
    patch(admin, url=receiver.url)
    reach(world.task(project, state="in_progress").id, "make_ready")
    receiver.status, receiver.said = 503, b"come back later"
    collect_notices()

    for attempt in range(1, len(DELAYS_SECONDS) + 2):
        run_jobs(SEND_WEBHOOK)
        (delivery,) = deliveries(admin)
        assert (delivery["attempts"], delivery["status"], delivery["answer"]) == (attempt, 503, "come back later")
        if attempt <= len(DELAYS_SECONDS):
            assert delivery["state"] == "waiting"
            # Not due yet: a ring changes nothing.
            run_jobs(SEND_WEBHOOK)
            assert len(receiver.received) == attempt
            let_time_pass(delivery["id"])

    assert (delivery["state"], delivery["error"], delivery["nextAt"]) == ("given_up", "it answered 503", None)
    assert len({one.headers["webhook-id"] for one in receiver.received}) == 1
    assert len({one.body for one in receiver.received}) == 1
    assert all_of(Job, Job.kind == SEND_WEBHOOK.name, Job.state_ == "queued") == []

    receiver.status = 200
    again = admin.post(f"/api/webhook/deliveries/{delivery['id']}/retry")
    assert (again.status_code, again.json["webhookDelivery"]["state"]) == (200, "waiting")
    run_jobs(SEND_WEBHOOK)
    assert deliveries(admin)[0]["state"] == "delivered"
    assert admin.post(f"/api/webhook/deliveries/{delivery['id']}/retry").status_code == 409


def let_time_pass(delivery_id: str) -> None:
    row = get(WebhookDelivery, delivery_id)
    put(WebhookDelivery, delivery_id, next_at=row.created_at)
    for job in all_of(Job, Job.kind == SEND_WEBHOOK.name, Job.state_ == "queued"):
        put(Job, job.id, next_at=row.created_at)


@pytest.mark.usefixtures("long_delays")
def test_while_a_receiver_does_not_answer_one_message_is_tried_for_all(
    plain_world: World, plain_admin: FlaskClient, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver_health, "PAUSES_SECONDS", (86_400,))
    receiver.is_silent = True
    patch(plain_admin, url=receiver.url)
    project = plain_world.project()
    for _ in range(3):
        reach(plain_world.task(project, state="in_progress").id, "make_ready")
    collect_notices()
    for _ in range(2):
        run_jobs(SEND_WEBHOOK)

    found = deliveries(plain_admin)
    assert (sorted(one["attempts"] for one in found), {one["state"] for one in found}) == ([0, 0, 1], {"waiting"})
    why = {one["attempts"]: str(one["error"]) for one in found}
    assert why[1].startswith("127.0.0.1 did not answer (")
    assert why[0] == f"waits, as the receiver does not answer: {why[1]}"


def test_processes_that_look_at_once_make_each_message_once(
    world: World, admin: FlaskClient, receiver: WebhookReceiver
) -> None:
    patch(admin, url=receiver.url)
    for name in ("One", "Two"):
        project = world.project(name)
        for _ in range(3):
            reach(world.task(project, state="in_progress").id, "make_ready")

    assert sum(at_once(*[collect_notices] * 4)) == 6
    assert len(all_of(WebhookDelivery)) == 6


@pytest.mark.slow
def test_the_settings_are_an_administrators_and_the_secret_is_never_shown(
    world: World, admin: FlaskClient, receiver: WebhookReceiver
) -> None:
    fresh = {"url": None, "enabled": False, "kinds": list(CHOSEN), "hasSecret": False}
    assert admin.get("/api/webhook").json["webhook"] == fresh | {"changedBy": None, "changedAt": None}
    own = "whsec_" + base64.b64encode(b"s" * 24).decode()
    shown = patch(admin, url=receiver.url, secret=own)
    assert (shown["webhook"]["enabled"], shown["webhook"]["hasSecret"]) == (True, True)
    assert (shown["webhook"]["changedBy"], own in str(shown)) == ("root", False)
    assert own not in admin.get("/api/webhook").text
    patch(admin, url=receiver.url + "&n=2")
    admin.post("/api/webhook/test")
    run_jobs(SEND_WEBHOOK)
    verify(own, receiver.received[0])
    assert patch(admin, url=None)["webhook"]["enabled"] is False
    assert world.client.get("/api/webhook").status_code == 403


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"url": "http://10.0.0.1/x"}, 400, "url"),
        ({"kinds": ["test"]}, 400, "kinds.0"),
        ({"secret": "whsec_c2hvcnQ="}, 400, "secret"),
        ({"enabled": True}, 409, "enabled"),
    ],
)
def test_a_wrong_setting_is_refused_and_nothing_is_written(
    plain_admin: FlaskClient, body: dict[str, Any], status: int, field: str
) -> None:
    reply = patch(plain_admin, status, **body)
    assert reply["details"]["field"] == field
    assert plain_admin.get("/api/webhook").json["webhook"]["changedBy"] is None


def test_old_deliveries_are_forgotten(plain_world: World, plain_admin: FlaskClient, receiver: WebhookReceiver) -> None:
    patch(plain_admin, url=receiver.url)
    made = [plain_admin.post("/api/webhook/test").json["webhookDelivery"]["id"] for _ in range(2)]
    send_all()
    old = get(Project, plain_world.project().id).created_at.replace(year=2020)
    put(WebhookDelivery, made[0], created_at=old)
    delivering.purge_deliveries()

    assert [one["id"] for one in deliveries(plain_admin)] == made[1:]
    with pytest.raises(Conflict):
        delivering.retry_delivery(made[1], by=BY)
