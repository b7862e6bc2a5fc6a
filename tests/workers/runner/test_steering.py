"""People's messages to a running program: at its next turn, within its turn, or as an interruption."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.workers.runner.fake_program import FakeDriver, attempt, without_place, write_program
from tests.workers.runner.runner_platform import Platform, PlatformRun, ended, eventually, git
from workers.sandbox.sandboxes import SandboxMode

SAID = "A message from Ada:\n\nUse tabs"


class Steered:
    def __init__(self, platform: Platform, repository: Path, folder: Path) -> None:
        self.platform, self.repository, self.folder = platform, repository, folder
        self.driver = FakeDriver(folder / "fake")
        self.go = folder / "go"

    def begin(self, script: str) -> PlatformRun:
        wait = f"wait_for_go() {{ until [ -e {self.go} ]; do sleep 0.05; done; }}\n"
        write_program(self.driver.executable, wait + script)
        run = self.platform.add_run("run-1", self.repository, "x", driver="fake", prompt="p", freshPrompt="f")
        begun = attempt(self.platform, run, self.folder / "work", self.driver, mode=SandboxMode.OFF)
        threading.Thread(target=begun.execute, daemon=True).start()
        eventually(lambda: "there" in run.log, "it works")
        return run

    def show(self, path: str) -> str:
        return git("show", f"task-1:{path}", cwd=self.repository)

    @property
    def has_fetched(self) -> bool:
        """Whether a message was fetched that the program has not got yet: then the platform holds no request."""
        return any("wait=0" in query for query in self.platform.queries)

    @property
    def prompts(self) -> list[tuple[str, str | None]]:
        return [(without_place(work), work.resume) for work in self.driver.works]


@pytest.fixture
def steered(platform: Platform, repository: Path, tmp_path: Path) -> Steered:
    return Steered(platform, repository, tmp_path)


def test_a_message_counts_as_delivered_only_once_the_program_got_it(steered: Steered) -> None:
    """A run that this machine loses meanwhile takes no message with it."""
    run = steered.begin("session s; [ $N = 1 ] && { text there; wait_for_go; }; echo $N >> turns; end true turn-$N")
    steered.platform.write(run, "Use tabs")
    eventually(lambda: steered.has_fetched, "the message is fetched")
    assert not any("after=1" in it for it in steered.platform.queries)

    steered.go.touch()

    assert ended(run)["summary"] == "turn-2"
    assert any("after=1" in it for it in steered.platform.queries)


def test_a_program_that_takes_messages_gets_them_within_its_turn(steered: Steered) -> None:
    steered.driver.takes_messages = True
    run = steered.begin(
        'read -r first; session s; text there; read -r second; printf \'%s %s\' "$first" "$second" > got;'
        "end true done;"
        "read -r third || echo closed > closed"
    )
    steered.platform.write(run, "Use tabs")

    assert ended(run)["summary"] == "done"
    assert steered.show("got").endswith('\\n\\nf" "A message from Ada:\\n\\nUse tabs"')
    assert steered.show("closed") == "closed"
    assert len(steered.prompts) == 1


def test_an_interruption_ends_the_process_and_resumes_its_session(steered: Steered) -> None:
    run = steered.begin("session s; [ $N = 1 ] && { echo 1 > one; text there; sleep 300; }; end true turn-$N")
    steered.platform.write(run, "Use tabs", interrupts=True)

    assert ended(run)["summary"] == "turn-2"
    assert steered.prompts == [("f", None), (SAID, "s")]
    assert "fake is interrupted." in run.log
    assert steered.show("one") == "1"


def test_a_program_with_an_order_to_interrupt_goes_on_in_the_same_process(steered: Steered) -> None:
    steered.driver.takes_messages = steered.driver.has_interrupt = True
    run = steered.begin(
        "read -r first; session s; text there; read -r order; end false stopped;"
        'read -r said; printf \'%s %s\' "$order" "$said" > got; end true done'
    )
    steered.platform.write(run, "Use tabs", interrupts=True)

    assert ended(run)["summary"] == "done"
    assert steered.show("got") == '"interrupt" "A message from Ada:\\n\\nUse tabs"'
    assert len(steered.prompts) == 1
