"""Transcripts: each entry once and in order, its details cleaned and masked, found by words and kinds, shown live."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from common.announcer import announcer
from common.feed import client as redis_client
from common.feed import stream_name
from common.models import LogEntry, ModelProvider, Run, Task
from common.sealing import new_token, seal
from common.services.runs import transcripts
from common.services.runs.log_entries import LONGEST
from common.services.runs.transcript_masking import DEEPEST, MOST_BYTES
from common.transaction import Transaction, transactional
from tests.patience import PATIENCE_SECONDS
from tests.web.talking import Talking
from tests.web.world import World, all_of, at_once, get, put

CANARY = "canary/wörd+7f3a"


@pytest.fixture
def run(world: World) -> Talking:
    return Talking(world, secret_env_vars={"API_KEY": CANARY})


def test_a_batch_that_is_sent_again_is_stored_once(run: Talking) -> None:
    assert run.say(1, 2, 3) == {"accepted": 3, "received": 3}
    assert run.say(1, 2, 3) == {"accepted": 0, "received": 3}
    assert run.say(2, 3, 4, 5) == {"accepted": 2, "received": 5}

    entries = run.read()["entries"]
    assert [entry["number"] for entry in entries] == [1, 2, 3, 4, 5]
    assert [entry["message"] for entry in entries] == [f"entry {number}" for number in range(1, 6)]


def test_batches_that_arrive_at_the_same_time_are_stored_once(world: World, run: Talking) -> None:
    batch = [{"number": number, "message": str(number)} for number in range(1, 51)]
    clients = [world.app.test_client() for _ in range(4)]
    for client in clients:
        client.environ_base["HTTP_AUTHORIZATION"] = run.client.environ_base["HTTP_AUTHORIZATION"]

    replies = at_once(*(lambda client=client: run.post(*batch, client=client) for client in clients))

    assert sorted(reply.json["accepted"] for reply in replies) == [0, 0, 0, 50]
    assert run.messages() == [str(number) for number in range(1, 51)]


def test_a_gap_is_said_in_its_place_and_what_comes_late_is_ignored(run: Talking) -> None:
    run.say(1, 2, 3, 4)
    assert run.say(10, 11) == {"accepted": 3, "received": 11}
    assert run.say(5, 6, 13) == {"accepted": 2, "received": 13}

    assert run.messages()[4:] == [
        "The platform did not receive entries 5–9 of this run.", "entry 10", "entry 11",
        "The platform did not receive entry 12 of this run.", "entry 13",
    ]  # fmt: skip


def test_numbers_rise_within_a_batch_or_nothing_of_it_is_stored(run: Talking) -> None:
    for wrong in ([1, 2, 2], [3, 1], [0], [-1], [1.5], [True], ["1"]):
        reply = run.post(*({"number": number} for number in wrong))
        assert reply.status_code == 400, wrong
        assert reply.json["details"]["field"] == f"lines.{len(wrong) - 1}.number"
    assert run.read()["entries"] == []


def test_a_runner_without_numbers_is_stored_as_before(run: Talking) -> None:
    assert run.post({"message": "one"}, {"message": "one"}).json == {"accepted": 2}

    entries = run.read()["entries"]
    assert [set(entry) for entry in entries] == [{"seq", "at", "level", "kind", "message"}] * 2


def test_an_entry_is_read_back_with_all_that_was_written(run: Talking) -> None:
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


@pytest.mark.parametrize("details", ["text", 1, [], True])
def test_details_that_are_no_object_are_refused(run: Talking, details: Any) -> None:
    reply = run.post({"number": 1, "details": details})
    assert (reply.status_code, reply.json["details"]["field"]) == (400, "lines.0.details")
    assert reply.json["details"]["message"] == "Must be an object"


@pytest.mark.parametrize("code", [[], {"a": [1]}, "1", 1.5, True, None])
def test_an_exit_code_of_any_form_is_stored(run: Talking, code: Any) -> None:
    entry = {"number": 1, "message": "it ended", "kind": "result", "details": {"exitCode": code}}

    reply = run.post(entry)

    assert (reply.status_code, reply.json) == (200, {"accepted": 1, "received": 1})
    assert run.read()["entries"][0]["details"] == {"exitCode": code}


def test_every_text_in_the_details_is_masked(run: Talking) -> None:
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


def test_a_secret_of_digits_is_masked_also_as_a_number(world: World) -> None:
    run = Talking(world, secret_env_vars={"PIN": "8412779310"})
    pin = 8412779310
    given = {
        "pin": pin,
        "list": [pin, -pin, float(pin), 99 * 10**12 + pin],
        "at": 1764460800123,
        "ok": True,
        "cost": 0.0125,
    }

    run.post({"number": 1, "kind": "result", "details": given})

    masked = {"pin": "***", "list": ["***", "-***", "***.0", "9900***"]}
    assert run.details() == given | masked
    assert isinstance(run.details()["ok"], bool)


@pytest.mark.slow
def test_the_keys_of_model_providers_are_masked(run: Talking) -> None:
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


def test_details_have_no_control_characters(run: Talking) -> None:
    run.post({"number": 1, "callId": "a\x1b[1mb", "details": {"out\x07put": "\x1b[31mred\x1b[0m\r\nnext\x08\ttab"}})

    assert run.details() == {"output": "red\nnext\ttab"}
    assert run.read()["entries"][0]["callId"] == "ab"


def test_a_call_id_is_masked_and_cut_however_long_it_is(run: Talking) -> None:
    call_id = f"id {CANARY}" + "-----END PRIVATE KEY-----" * 2**15
    assert run.post({"number": 1, "callId": call_id}, {"number": 2, "callId": "x" * 10_000}).json["received"] == 2
    assert run.post({"number": 1, "callId": call_id}).json == {"accepted": 0, "received": 2}

    first, second = run.read()["entries"]
    assert (first["callId"], second["callId"]) == ("***" * 33 + "*", "x" * 100)


@pytest.mark.slow
def test_details_that_are_too_large_are_cut_and_say_so(run: Talking) -> None:
    run.post({"number": 1, "kind": "tool", "details": {"name": "Write", "input": {"content": "ö" * 100_000}, "ok": 1}})
    few = run.details()
    assert (few["name"], few["ok"]) == ("Write", 1)
    assert "characters more" in few["input"]["content"]

    run.post({"number": 2, "kind": "tool", "details": {"name": "Many", "input": ["x" * 100] * 3000}})
    assert "more left out" in run.details()["input"][-1]

    run.post({"number": 3, "kind": "tool", "details": {"name": "Wide", "input": [[["x" * 90] * 40] * 40] * 40}})
    assert run.details()["name"] == "Wide"

    for entry in run.read()["entries"]:
        assert len(json.dumps(entry["details"], ensure_ascii=False).encode()) <= MOST_BYTES + 200


def test_details_that_are_nested_deeply_are_cut(run: Talking) -> None:
    nested: Any = "deepest"
    for _ in range(40):
        nested = {"in": nested}
    run.post({"number": 1, "details": nested})

    assert json.dumps(run.details()).count('"in"') == DEEPEST
    assert "left out" in json.dumps(run.details(), ensure_ascii=False)


@pytest.mark.slow
def test_details_count_towards_the_size_of_a_transcript(run: Talking) -> None:
    put(Run, run.id, log_bytes=transcripts.MOST_BYTES - 50_000)
    content = {"input": {"content": "x" * 20_000}}

    assert run.say(1, 2, 3, 4, 5, details=content) == {"accepted": 3, "received": 5}
    assert run.say(6, 7) == {"accepted": 0, "received": 7}
    assert run.say(6, 7) == {"accepted": 0, "received": 7}

    read = run.read()
    assert "left out" in read["entries"][-1]["message"]
    assert (len(read["entries"]), read["leftOut"]) == (3, 5)


def test_a_full_transcript_that_was_purged_does_not_call_what_was_stored_left_out(run: Talking) -> None:
    put(Run, run.id, log_bytes=transcripts.MOST_BYTES - 50_000)
    run.say(1, 2, 3, 4, 5, details={"input": {"content": "x" * 20_000}})
    assert run.read()["leftOut"] == 3
    for entry in all_of(LogEntry):
        put(LogEntry, entry.id, at=entry.at - timedelta(days=31))

    assert transcripts.purge_transcripts() == 3
    read = run.read()
    assert (read["entries"], read.get("leftOut", 0)) == ([], 0)


@pytest.mark.slow
def test_a_batch_of_what_grows_most_when_it_is_escaped_is_stored(run: Talking) -> None:
    details = {"input": "é\\'\"" * 2000}
    lines = [{"number": number, "message": "'" * 12_000, "details": details} for number in range(1, 201)]
    assert run.post(*lines).json == {"accepted": 200, "received": 200}
    assert run.details() == details


def test_a_secret_that_is_cut_between_entries_of_two_batches_is_masked(run: Talking) -> None:
    password = run.claim["clone"]["password"]
    run.post({"number": 1, "kind": "text", "message": f"first {password[:20]}"})
    run.post({"number": 2, "kind": "text", "message": f"{password[20:]} last"})
    assert run.messages() == ["first ***", "*** last"]


def test_a_secret_where_a_long_message_is_cut_is_masked_and_its_length_is_said(run: Talking) -> None:
    token = run.claim["run"]["token"]
    run.post({"number": 1, "message": f"{'x' * (LONGEST - 10)}{token}{'y' * 40_000}"}, {"number": 2, "message": "z"})

    more = len(token) + 40_000 - 10
    assert run.messages() == [f"{'x' * (LONGEST - 10)}***\n… cut, {more} characters more", "z"]


@pytest.mark.slow
def test_text_that_is_masked_away_counts_towards_the_size_of_a_transcript(run: Talking) -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ."
    put(Run, run.id, log_bytes=transcripts.MOST_BYTES - 50_000)

    assert run.say(1, 2, 3, message=token * 300)["accepted"] == 3
    assert get(Run, run.id).log_bytes > transcripts.MOST_BYTES - 50_000 + 3 * 300 * len(token)
    assert run.say(4, 5, 6, details={"output": token * 500})["accepted"] == 2
    assert "left out" in run.messages()[-1]


@pytest.mark.slow
def test_others_write_while_what_a_run_has_sent_is_masked(run: Talking, monkeypatch: pytest.MonkeyPatch) -> None:
    hard = ("eyJhbGciOi." * 6000)[:60_000]
    turns: list[str] = []

    class Turn:
        """A turn of the others, who write."""

        def __call__(self) -> None:
            pool.submit(put, Task, run.task.id, title=f"Title {len(turns)}").result()
            turns.append(get(Task, run.task.id).title)

    monkeypatch.setattr(transcripts, "Turns", Turn)
    with ThreadPoolExecutor(1) as pool:
        assert run.say(*range(1, 31), message=hard)["accepted"] == 30

    assert turns == [f"Title {number}" for number in range(len(turns))]
    assert len(turns) >= 30, "not even one for each entry"


def test_words_are_found_in_messages_and_details_in_either_case(run: Talking) -> None:
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


def test_a_transcript_is_read_by_kinds_and_page_by_page(run: Talking) -> None:
    run.say(1, 3, 5, kind="text")
    run.say(6, kind="tool")
    run.say(7, kind="result")

    assert run.messages("kind=tool,result") == ["entry 6", "entry 7"]
    assert run.messages("kind=text&q=ENTRY") == ["entry 1", "entry 3", "entry 5"]
    first = run.read("kind=text&q=entry&limit=2")
    assert [entry["number"] for entry in first["entries"]] == [1, 3]
    assert run.messages(f"kind=text&q=entry&limit=2&after={first['next']}") == ["entry 5"]


def test_a_transcript_is_read_backwards_from_its_end(run: Talking) -> None:
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


@pytest.mark.parametrize(
    ("query", "field"), [("before=0", "before"), ("before=9&q=x", "before"), (f"before={2**63}", "before")]
)
def test_an_end_that_can_not_be_meant_is_refused(run: Talking, query: str, field: str) -> None:
    reply = run.viewer.get(f"/api/runs/{run.id}/transcript?{query}")
    assert (reply.status_code, reply.json["details"]["field"]) == (400, field)


@pytest.mark.parametrize(
    ("query", "field"), [("kind=poem", "kind"), ("kind=", "kind"), ("q=", "q"), ("limit=0", "limit")]
)
def test_a_query_that_can_not_be_meant_is_refused(run: Talking, query: str, field: str) -> None:
    reply = run.viewer.get(f"/api/runs/{run.id}/transcript?{query}")
    assert (reply.status_code, reply.json["details"]["field"]) == (400, field)
    if field == "kind":
        assert "thinking" in reply.json["details"]["message"]


def test_search_reads_on_until_enough_is_found(run: Talking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcripts, "PAGE", 3)
    # The database takes the names of members for words, too: those entries are sorted out here.
    run.post(*({"number": number, "details": {"needle": "hay"}} for number in range(1, 11)))
    run.post({"number": 11, "message": "a needle"}, {"number": 12, "message": "more needles"})
    assert run.messages("q=needle") == ["a needle", "more needles"]
    assert run.messages("q=needle&limit=1") == ["a needle"]


def test_followers_get_what_is_read_back_in_parts_of_a_bounded_size(run: Talking) -> None:
    run.say(*range(1, 21), callId="c1", details={"input": "x" * 30_000})

    assert announcer().flush(PATIENCE_SECONDS)
    rows: Any = redis_client().xrange(stream_name())
    told = [json.loads(fields["m"]) for _id, fields in rows if '"task:log"' in fields.get("m", "")]
    assert [entry for message in told for entry in message["data"]["entries"]] == run.read()["entries"]
    assert len(told) > 1
    assert all(len(json.dumps(message)) < 2 * transcripts.AT_ONCE_BYTES for message in told)
    assert {message["data"]["runId"] for message in told} == {run.id}


def test_progress_is_cut_after_it_was_masked(run: Talking) -> None:
    body = {"message": "😀" * 490 + CANARY + "x" * 15_000, "done": 1}
    assert run.client.post(f"/api/runner/runs/{run.id}/progress", json=body).json == {}

    assert announcer().flush(PATIENCE_SECONDS)
    rows: Any = redis_client().xrange(stream_name())
    (told,) = [json.loads(fields["m"]) for _id, fields in rows if '"task:progress"' in fields.get("m", "")]
    shown = "😀" * 490 + "***" + "x" * 7
    assert told["data"]["message"] == f"{shown}\n… cut, 14993 characters more"
    assert told["data"]["done"] == 1


@pytest.mark.slow
def test_times_have_the_same_form_also_at_a_whole_second(run: Talking) -> None:
    run.say(1)
    (row,) = all_of(LogEntry)
    put(LogEntry, row.id, at=row.at.replace(microsecond=0))

    (entry,) = run.read()["entries"]
    assert entry["at"] == row.at.strftime("%Y-%m-%dT%H:%M:%S.000000Z")


def test_only_the_platform_says_who_wrote_a_message(run: Talking) -> None:
    run.post({"number": 1, "kind": "message", "message": "approve it", "details": {"author": "ada", "seq": 1}})
    assert run.details() == {"seq": 1}


def test_after_the_end_of_a_run_its_lines_are_refused(world: World, run: Talking) -> None:
    world.client.post(f"/api/tasks/{run.task.id}/cancel")
    assert run.post({"number": 1}).status_code == 409
    assert get(Run, run.id).entries_received == 0
