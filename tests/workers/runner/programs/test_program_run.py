"""A coding CLI's whole run against a platform: what it says, how it goes on, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.workers.runner.fake_program import Fake
from tests.workers.runner.runner_platform import Platform, git, head


@pytest.fixture
def fake(platform: Platform, repository: Path, tmp_path: Path) -> Fake:
    return Fake(platform, repository, tmp_path)


def test_its_work_is_pushed_and_everything_it_does_is_in_the_transcript(fake: Fake) -> None:
    run = fake.add(
        "session s-1; text 'I look'; call c-1 'make test'; result c-1 true 'all good';"
        "edit c-2 app.txt 'one two' 'one 2'; echo 'one 2' > app.txt; result c-2 true ok; end true 'Made it nice'"
    )

    report = fake.execute(run)

    assert report == {"outcome": "completed", "summary": "Made it nice", "commitSha": head(fake.repository)}
    assert fake.show("app.txt") == "one 2"
    assert fake.prompts == [("all of it", None)]
    entries = [line for line in run.lines if line["kind"] != "log"]
    assert [(it["kind"], it["message"], it.get("callId")) for it in entries] == [
        ("text", "I look", None),
        ("tool", "$ make test", "c-1"),
        ("result", "all good", "c-1"),
        ("tool", f"Edit {fake.folder}/work-1/repository/app.txt", "c-2"),
        ("result", "ok", "c-2"),
    ]
    assert entries[1]["details"] == {"name": "Bash", "input": {"command": "make test"}, "command": "make test"}
    # How long is tested in test_transcript.py, by a clock of its own.
    assert set(entries[2]["details"]) == {"ok", "exitCode", "durationMs"}
    assert (entries[2]["details"]["ok"], entries[2]["details"]["exitCode"]) == (True, 0)
    assert entries[3]["details"]["diff"] == "--- a/app.txt\n+++ b/app.txt\n@@ -1 +1 @@\n-one two\n+one 2\n"
    assert not (fake.folder / "work-1").exists()


def test_no_secret_of_the_run_is_in_its_environment_arguments_or_home(fake: Fake) -> None:
    run = fake.add(
        "session s; env > environ; cat /proc/$$/cmdline > arguments; cp -r $HOME home; end true done",
        models={"token": "awm_model-token", "addresses": {"anthropic": "http://127.0.0.1:9"}},
        username="run", password="s3cret-password",
    )  # fmt: skip

    assert fake.execute(run)["outcome"] == "completed"

    seen = git("grep", "-I", "-h", "-e", "", "task-1", cwd=fake.repository)
    assert "MODEL_TOKEN=awm_model-token" in seen
    assert "s3cret-password" not in seen
    assert "token-of-run-1" not in seen
    assert {line.partition("=")[0] for line in fake.show("environ").splitlines()} >= {"HOME", "PATH", "LANG"}


@pytest.mark.slow
def test_a_kept_session_is_resumed_by_another_agent_with_only_what_is_new(fake: Fake) -> None:
    fake.execute(fake.add("session s-1; echo secret-plan > $HOME/.fake/memory; echo no > $HOME/other; end true one"))
    assert fake.execute(fake.add("session s-1; cp $HOME/.fake/memory memory; ls $HOME > listed; end true two"))

    assert fake.prompts == [("all of it", None), ("what is new", "s-1")]
    assert fake.show("memory") == "secret-plan"
    assert fake.show("listed") == ""


@pytest.mark.slow
def test_a_session_that_the_program_refuses_is_followed_by_a_new_one(fake: Fake) -> None:
    fake.execute(fake.add("session s-1; end true one"))
    run = fake.add(
        '[ -z "$RESUME" ] || { echo "No conversation found with session ID: $RESUME" >&2; exit 1; }\n'
        "session s-2; echo $N > n; end true two"
    )

    assert fake.execute(run)["summary"] == "two"

    assert fake.prompts[1:] == [("what is new", "s-1"), ("all of it", None)]
    assert "The session can't be resumed" in run.log


def test_a_crash_is_resumed_once_in_the_same_session(fake: Fake) -> None:
    run = fake.add(
        "session s-1; text hello; [ $N = 1 ] && { echo half > half; echo 'out of memory' >&2; exit 7; };"
        "echo done > done; end true 'Done'"
    )

    assert fake.execute(run)["outcome"] == "completed"

    again = "You were interrupted: fake ended with exit code 7. out of memory. Go on with the task."
    assert fake.prompts == [("all of it", None), (again, "s-1")]
    assert (fake.show("half"), fake.show("done")) == ("half", "done")


def test_a_second_crash_gives_the_task_back_and_keeps_the_work(fake: Fake, platform: Platform) -> None:
    run = fake.add("session s-1; text hello; echo $N > half; kill -SEGV $$")

    report = fake.execute(run)

    assert report["outcome"] == "cancelled"
    assert report["cutShort"] is True
    assert report["reason"] == "fake ended with exit code 139."
    assert fake.show("half") == "2"
    message = git("log", "-1", "--format=%B", "task-1", cwd=fake.repository)
    assert message == "Unfinished: Do it\n\nTask: task-id-1\nRound: 1\nUnfinished: yes"
    assert platform.sessions


@pytest.mark.parametrize(
    ("text", "outcome"),
    [("529 overloaded", "cancelled"), ("API Error: 401 invalid x-api-key", "failed")],
)
def test_a_provider_that_refuses_fails_the_task_only_if_it_lasts(fake: Fake, text: str, outcome: str) -> None:
    report = fake.execute(fake.add(f"session s; echo some > half; end false '{text}'; exit 1"))
    assert report["outcome"] == outcome
    assert report.get("cutShort", False) == (outcome == "cancelled")
    assert text in report["reason"]
    assert fake.show("half") == "some"


@pytest.mark.slow
def test_an_open_question_ends_the_run_as_waiting_and_its_answer_resumes_the_session(
    fake: Fake, platform: Platform
) -> None:
    ask = json.dumps({"tool": "ask_user_question", "arguments": {"question": "Which colour?"}})
    script = (
        'session s-1; [ -n "$RESUME" ] || { python3 -c \'import socket, sys; s = socket.socket(socket.AF_UNIX);'
        f" s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode()); s.recv(9999)' \"$SOCKET\" '{ask}\n'; }};"
        " echo part > part; end true 'I wait'"
    )
    first = fake.add(script)
    report = fake.execute(first)
    assert report == {"outcome": "waiting", "summary": "I wait", "commitSha": head(fake.repository)}
    assert git("log", "-1", "--format=%s", "task-1", cwd=fake.repository) == "Unfinished: Do it"

    platform.answer("green")
    second = fake.add(script, prompt="The answer: green")

    assert fake.execute(second)["outcome"] == "completed"
    assert fake.prompts[1] == ("The answer: green", "s-1")
    assert git("log", "-1", "--format=%s", "task-1", cwd=fake.repository) == "Do it"


def test_lines_whose_answer_was_lost_are_stored_once(fake: Fake, platform: Platform) -> None:
    platform.loses_answers = 2
    run = fake.add("session s; for i in 1 2 3 4 5; do text line-$i; sleep 0.2; done; end true done")
    fake.execute(run)
    assert [it["message"] for it in run.lines if it["kind"] == "text"] == [f"line-{n}" for n in range(1, 6)]


def test_a_driver_that_can_not_work_gives_the_run_back(fake: Fake) -> None:
    run = fake.add("end true done")
    fake.driver.executable.unlink()
    report = fake.execute(run)
    assert (report["outcome"], report["cutShort"]) == ("cancelled", True)
    assert report["reason"] == "this agent can't work with fake: The fake is not installed."
