"""What counts as the memory of a tree of processes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

from workers.sandbox.tree_use import tree_use

SIZE = 100 * 2**20
PROGRAM = f"""
import mmap, os, sys
kept = os.memfd_create("kept")
os.truncate(kept, {SIZE})
{{}}
print("ready", flush=True)
sys.stdin.read()
"""
WRITE = f"for _ in range(100): os.write(kept, bytes({SIZE // 100}))"


@contextlib.contextmanager
def running(body: str) -> Iterator[int]:
    """The parent of a Python program that has done this."""
    # The second command keeps the shell from becoming the first.
    command = ["sh", "-c", '"$@"; true', "sh", sys.executable, "-I", "-c", PROGRAM.format(body)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid


def test_a_file_in_memory_that_two_processes_hold_counts_once() -> None:
    with running(f"{WRITE}\nos.fork() or sys.stdin.read()") as pid:
        processes, memory = tree_use(pid)

    assert processes == 2
    assert SIZE < memory < 1.5 * SIZE
