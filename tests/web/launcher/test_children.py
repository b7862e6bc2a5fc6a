"""The launcher's children, with real small programs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.instance import wait_until
from tests.long_waits import LONG_WAIT_SECONDS
from tests.processes import is_running_process
from web.launcher.children import Processes, Program

ROOT = Path(__file__).parents[3]
FOREVER = "import signal\nprint('up', flush=True)\nwhile True: signal.pause()"


def program(name: str, code: str, *arguments: str) -> Program:
    return Program(name, (sys.executable, "-c", code, *arguments), dict(os.environ), ROOT)


class ConversationPart(list[str]):
    """The lines that would be on the terminal."""

    def has(self, part: str) -> bool:
        return any(part in line for line in self)


@pytest.fixture
def said() -> ConversationPart:
    return ConversationPart()


@pytest.fixture
def processes(tmp_path: Path, said: ConversationPart) -> Iterator[Processes]:
    running = Processes(tmp_path / "logs", said.append)
    yield running
    running.close()


def step_until(processes: Processes, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG_WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        processes.step(0.02)


def test_a_program_that_is_killed_is_started_again(processes: Processes, said: ConversationPart) -> None:
    processes.start(program("one", FOREVER))
    step_until(processes, lambda: processes.tail("one") == ["up"])
    first = processes.pid("one")
    assert first is not None

    os.kill(first, signal.SIGKILL)
    step_until(processes, lambda: processes.pid("one") not in (None, first))

    assert said == ["one ended by signal SIGKILL; it is started again in 0.5 s"]


def test_the_children_of_a_program_end_with_it(processes: Processes) -> None:
    code = (
        "import signal, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        "print(child.pid, flush=True)\n"
        "signal.pause()"
    )
    processes.start(program("parent", code))
    step_until(processes, lambda: len(processes.tail("parent")) == 1)
    grandchild = int(processes.tail("parent")[0])
    parent = processes.pid("parent")
    assert parent is not None
    assert is_running_process(grandchild)

    os.kill(parent, signal.SIGKILL)
    step_until(processes, lambda: not is_running_process(grandchild))

    processes.stop(["parent"], patience_seconds=5)


@pytest.mark.slow
def test_programs_stop_in_the_order_asked_for(processes: Processes, tmp_path: Path) -> None:
    record = tmp_path / "order"
    code = (
        "import signal, sys\n"
        "def leave(*_):\n"
        "    open(sys.argv[1], 'a').write(sys.argv[2] + '\\n')\n"
        "    raise SystemExit\n"
        "signal.signal(signal.SIGTERM, leave)\n"
        "print('up', flush=True)\n"
        "while True: signal.pause()"
    )
    for name in ("store", "web", "agent"):
        processes.start(program(name, code, str(record), name))
    step_until(processes, lambda: all(processes.tail(name) == ["up"] for name in ("store", "web", "agent")))

    for name in ("agent", "web", "store"):
        processes.stop([name], patience_seconds=LONG_WAIT_SECONDS)

    assert record.read_text().split() == ["agent", "web", "store"]


def test_a_program_that_ignores_the_request_to_stop_is_killed(processes: Processes, said: ConversationPart) -> None:
    processes.start(program("deaf", f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{FOREVER}"))
    step_until(processes, lambda: processes.tail("deaf") == ["up"])
    pid = processes.pid("deaf")
    assert pid is not None

    processes.stop(["deaf"], patience_seconds=0.1)

    assert not is_running_process(pid)
    assert said.has("deaf did not end within")


def test_children_die_with_a_launcher_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from web.launcher.children import Processes, Program\n"
        "running = Processes(Path(sys.argv[1]), print)\n"
        "sleep = (sys.executable, '-c', 'import signal; print(1, flush=True); signal.pause()')\n"
        "running.start(Program('child', sleep, dict(os.environ), Path.cwd()))\n"
        "while not running.tail('child'): running.step(0.02)\n"
        "print(running.pid('child'), flush=True)\n"
        "while True: running.step()\n"
    )
    launcher = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    with launcher:
        assert launcher.stdout is not None
        child = int(launcher.stdout.readline())
        assert is_running_process(child)

        launcher.kill()

    wait_until("the child to end with its launcher", lambda: not is_running_process(child))
