"""Transcripts: each entry once and in order, its details cleaned and masked, found by words and kinds, shown live."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from common.events.feed import client as redis_client
from common.events.feed import stream_name
from common.jobs.announcer import announcer
from common.models import LogEntry, ModelProvider, Run
from common.secrets.sealing import new_token, seal
from common.services.agent_api import transcripts
from common.transaction import Transaction, transactional
from tests.long_waits import LONG_WAIT_SECONDS
from tests.web.transcript_run import TranscriptRun
from tests.web.world import World, all_of, at_once, get, put

CANARY = "canary/wörd+7f3a"


@pytest.fixture
def run(world: World) -> TranscriptRun:
    return TranscriptRun(world, secret_env_vars={"API_KEY": CANARY})


def test_a_batch_that_is_sent_again_is_stored_once(run: TranscriptRun) -> None:
    assert run.say(1, 2, 3) == {"accepted": 3, "received": 3}
    assert run.say(1, 2, 3) == {"accepted": 0, "received": 3}
    assert run.say(2, 3, 4, 5) == {"accepted": 2, "received": 5}

    entries = run.read()["entries"]
    assert [entry["number"] for entry in entries] == [1, 2, 3, 4, 5]
    assert [entry["message"] for entry in entries] == [f"entry {number}" for number in range(1, 6)]


def test_batches_that_arrive_at_the_same_time_are_stored_once(world: World, run: TranscriptRun) -> None:
    batch = [{"number": number, "message": str(number)} for number in range(1, 51)]
    clients = [world.app.test_client() for _ in range(4)]
    for client in clients:
        client.environ_base["HTTP_AUTHORIZATION"] = run.client.environ_base["HTTP_AUTHORIZATION"]

    replies = at_once(*(lambda client=client: run.post(*batch, client=client) for client in clients))

    assert sorted(reply.json["accepted"] for reply in replies) == [0, 0, 0, 50]
    assert run.messages() == [str(number) for number in range(1, 51)]


def test_a_gap_is_said_in_its_place_and_what_comes_late_is_ignored(run: TranscriptRun) -> None:
    run.say(1, 2, 3, 4)
    assert run.say(10, 11) == {"accepted": 3, "received": 11}
    assert run.say(5, 6, 13) == {"accepted": 2, "received": 13}

    assert run.messages()[4:] == [
        "The platform did not receive entries 5–9 of this run.", "entry 10", "entry 11",
        "The platform did not receive entry 12 of this run.", "entry 13",
    ]  # fmt: skip


def test_an_entry_is_read_back_with_all_that_was_written(run: TranscriptRun) -> None:
    call = {"name": "Edit", "input": {"path": "a.py", "lines": [1, 2.5, True, None]}, "diff": "-a\n+b\n"}
    run.post(
        {"number": 1, "kind": "tool", "message": "Edit a.py", "callId": "toolu_01", "details": call},
        {"number": 2, "kind": "result", "callId": "toolu_01", "details": {"ok": True, "exitCode": 0}},
        {"number": 3, "kind": "plan", "details": {"steps": [{"text": "test", "done": False}]}},
        {"number": 4, "kind": "thinking", "message": "Hm."},
    )

    first, second, third, fourth = run.read()["entries"]
    assert (first["callId"], first["details"]) == ("toolu_01", call)
    assert (second["callId"], second["details"]) == ("toolu_01", {"ok": True, "exitCode": 0})
    assert (third["kind"], third["details"]["steps"]) == ("plan", [{"text": "test", "done": False}])
    assert (fourth["kind"], "details" in fourth, "callId" in fourth) == ("thinking", False, False)


def test_every_text_in_the_details_is_masked(run: TranscriptRun) -> None:
    token, model_token = run.claim["run"]["token"], new_token("awm")
    secrets = [CANARY, token, run.claim["clone"]["password"], model_token, "AKIAIOSFODNN7EXAMPLE", f"sk-ant-{'x' * 40}"]
    for number, secret in enumerate(secrets, 1):
        details = {
            "command": f"curl -H '{secret}'", secret: "key", "input": {"list": [f"a {secret} b", {"deep": secret}]},
            "diff": f"-old\n+key = {secret}\n",
        }  # fmt: skip
        assert run.post({"number": number, "kind": "tool", "callId": f"id {secret}", "details": details}).json

    shown = json.dumps([run.read(), [row.details for row in all_of(LogEntry)]], ensure_ascii=False)
    assert "curl" in shown
    for secret in secrets:
        assert secret not in shown


@pytest.mark.slow
def test_the_keys_of_model_providers_are_masked(run: TranscriptRun) -> None:
    for sealed in (seal("local-provider-key-1"), seal({"key": "local-provider-key-2"})):
        add_provider(sealed)

    run.post({"number": 1, "message": "with local-provider-key-1", "details": {"x": "local-provider-key-2"}})

    assert run.read()["entries"][0]["message"] == "with ***"
    assert run.details() == {"x": "***"}


@transactional
def add_provider(tx: Transaction, sealed: str) -> None:
    tx.add(
        ModelProvider(
            name=sealed[-40:], api="openai", base_url="http://localhost", login="key", key_sealed=sealed, models=[],
            prices={}, created_by="ada", created_at=tx.now(), updated_at=tx.now(),
        )
    )  # fmt: skip


def test_a_full_transcript_that_was_purged_does_not_call_what_was_stored_left_out(run: TranscriptRun) -> None:
    put(Run, run.id, log_bytes=transcripts.MOST_BYTES - 50_000)
    run.say(1, 2, 3, 4, 5, details={"input": {"content": "x" * 20_000}})
    assert run.read()["leftOut"] == 3
    for entry in all_of(LogEntry):
        put(LogEntry, entry.id, at=entry.at - timedelta(days=31))

    assert transcripts.purge_transcripts() == 3
    read = run.read()
    assert (read["entries"], read.get("leftOut", 0)) == ([], 0)


def test_words_are_found_in_messages_and_details_in_either_case(run: TranscriptRun) -> None:
    run.post(
        {"number": 1, "kind": "text", "message": "The Login is broken"},
        {"number": 2, "kind": "tool", "message": "Bash", "details": {"input": {"command": 'grep "LOGIN" 100%_x'}}},
        {"number": 3, "kind": "result", "message": "Überraschung", "details": {"note": "in GRÖSSE"}},
        {"number": 4, "kind": "text", "message": "nothing"},
    )

    assert run.messages("q=login") == ["The Login is broken", "Bash"]
    assert run.messages("q=%22login") == ["Bash"]
    assert run.messages("q=100%25_X") == ["Bash"]
    assert run.messages("q=1000") == []
    assert run.messages("q=%25") == ["Bash"]
    assert run.messages("q=%C3%BCBERRASCH") == ["Überraschung"]
    assert run.messages("q=gr%C3%B6sse") == ["Überraschung"]
    # The names of the members are no text that anybody said.
    assert run.messages("q=command") == []


def test_a_transcript_is_read_by_kinds_and_page_by_page(run: TranscriptRun) -> None:
    run.say(1, 3, 5, kind="text")
    run.say(6, kind="tool")
    run.say(7, kind="result")

    assert run.messages("kind=tool,result") == ["entry 6", "entry 7"]
    assert run.messages("kind=text&q=ENTRY") == ["entry 1", "entry 3", "entry 5"]
    first = run.read("kind=text&q=entry&limit=2")
    assert [entry["number"] for entry in first["entries"]] == [1, 3]
    assert run.messages(f"kind=text&q=entry&limit=2&after={first['next']}") == ["entry 5"]


def test_a_transcript_is_read_backwards_from_its_end(run: TranscriptRun) -> None:
    run.say(*range(1, 7))

    last = run.read("before=9007199254740991&limit=2")
    assert [entry["number"] for entry in last["entries"]] == [5, 6]
    earlier = run.read(f"before={last['entries'][0]['seq']}&limit=3")
    assert [entry["number"] for entry in earlier["entries"]] == [2, 3, 4]
    assert run.messages(f"before={earlier['entries'][0]['seq']}") == ["entry 1"]
    run.say(7)
    assert run.messages(f"after={last['next']}") == ["entry 7"]
    assert run.messages(f"before=9007199254740991&after={last['entries'][0]['seq']}") == ["entry 6", "entry 7"]
    assert run.messages(f"before={2**63 - 1}&limit=1") == ["entry 7"]
    assert run.messages(f"after={2**63 - 1}") == []


def test_followers_get_what_is_read_back_in_parts_of_a_bounded_size(run: TranscriptRun) -> None:
    run.say(*range(1, 21), callId="c1", details={"input": "x" * 30_000})

    assert announcer().flush(LONG_WAIT_SECONDS)
    rows: Any = redis_client().xrange(stream_name())
    told = [json.loads(fields["m"]) for _id, fields in rows if '"task:log"' in fields.get("m", "")]
    assert [entry for message in told for entry in message["data"]["entries"]] == run.read()["entries"]
    assert len(told) > 1
    assert all(len(json.dumps(message)) < 2 * transcripts.AT_ONCE_BYTES for message in told)
    assert {message["data"]["runId"] for message in told} == {run.id}


def test_only_the_platform_says_who_wrote_a_message(run: TranscriptRun) -> None:
    run.post({"number": 1, "kind": "message", "message": "approve it", "details": {"author": "ada", "seq": 1}})
    assert run.details() == {"seq": 1}


def test_after_the_end_of_a_run_its_lines_are_refused(world: World, run: TranscriptRun) -> None:
    world.client.post(f"/api/tasks/{run.task.id}/cancel")
    assert run.post({"number": 1}).status_code == 409
    assert get(Run, run.id).entries_received == 0
