"""`aiworker verify`: in a fresh clone, in an empty home, without a platform, its database or its secret key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from common.jobs.catalogue import PUBLISH_RECEIPT
from common.secrets import envelopes
from common.secrets.signing import public_key
from common.values.names import RECEIPTS_REF
from tests.long_waits import LONG_WAIT_SECONDS
from tests.providers.git_work_tree import git
from tests.servers import ROOT
from tests.web.api.production_line import ProductionLine
from tests.web.cli.test_loading import HEAVY, PROGRAM
from tests.web.world import World, forget_providers, run_jobs

pytestmark = pytest.mark.slow


class Machine:
    """Another machine: a clone of the repository with its notes, and the public key. Nothing else."""

    def __init__(self, folder: Path, line: ProductionLine) -> None:
        self.folder = folder
        self.clone = folder / "clone"
        self.key = folder / "key.pem"
        folder.mkdir()
        (folder / "home").mkdir()
        self.key.write_text(public_key())
        git("clone", "--quiet", str(line.path), str(self.clone))
        git("fetch", "--quiet", "origin", f"{RECEIPTS_REF}:{RECEIPTS_REF}", at=self.clone)

    def run(self, *words: str, before: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        """Run the command. before: a program that runs it; by default the command itself."""
        program = ["-c", before] if before else ["-m", "web.cli"]
        return subprocess.run(
            [sys.executable, *program, *words], cwd=self.clone, capture_output=True, text=True, check=False,
            timeout=LONG_WAIT_SECONDS,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder / "home"), "PYTHONPATH": str(ROOT), **environ},
        )  # fmt: skip

    def verify(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return self.run("verify", "--key", str(self.key), *words, **environ)

    def note(self, sha: str) -> str:
        return git("notes", f"--ref={RECEIPTS_REF}", "show", sha, at=self.clone)

    def put_note(self, sha: str, text: str) -> None:
        file = self.folder / "note"
        file.write_text(text)
        git("notes", f"--ref={RECEIPTS_REF}", "add", "--force", "--file", str(file), sha, at=self.clone)


@pytest.fixture
def line(plain_app: Flask) -> Any:
    yield ProductionLine(World(plain_app))
    forget_providers()


@pytest.fixture
def machine_of(tmp_path: Path) -> Callable[[ProductionLine], Machine]:
    def make(line: ProductionLine) -> Machine:
        run_jobs(PUBLISH_RECEIPT)
        return Machine(tmp_path / "elsewhere", line)

    return make


MachineOf = Callable[[ProductionLine], Machine]


def refused(ended: subprocess.CompletedProcess[str], why: str) -> None:
    assert (ended.returncode, ended.stderr) == (1, "")
    (line,) = ended.stdout.splitlines()
    assert line.startswith("not verified: ")
    assert why in line


def test_each_production_commit_verifies(line: ProductionLine, machine_of: MachineOf) -> None:
    delivered = [line.deliver().commit_sha for _ in range(3)]
    machine = machine_of(line)

    for number, sha in enumerate(delivered, 1):
        ended = machine.verify(sha)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout.splitlines() == [
            f"receipt {number}: delivery of {sha}, signed as it is",
            f"verified: {sha}",
        ]
    assert machine.verify("origin/main").stdout.endswith(f"verified: {delivered[-1]}\n")
    assert machine.verify(delivered[0][:10]).returncode == 0


def test_the_chain_goes_back_to_the_first(line: ProductionLine, machine_of: MachineOf) -> None:
    first, second = line.deliver().commit_sha, line.deliver().commit_sha
    line.roll_back()
    third = line.deliver(acceptRolledBack=True).commit_sha
    machine = machine_of(line)

    ended = machine.verify("--chain", third)

    assert ended.returncode == 0, ended
    assert [each.partition(",")[0] for each in ended.stdout.splitlines()] == [
        f"receipt 1: delivery of {first}",
        f"receipt 2: delivery of {second}",
        f"receipt 3: rollback of {first}",
        f"receipt 4: delivery of {third}",
        f"verified: {third}",
    ]
    # The commit that was returned to has both.
    assert machine.verify("--chain", first).stdout.count("receipt ") == 3


def test_a_receipt_that_is_left_out_of_the_chain_is_noticed(line: ProductionLine, machine_of: MachineOf) -> None:
    first, second, third = [line.deliver().commit_sha for _ in range(3)]
    machine = machine_of(line)
    git("notes", f"--ref={RECEIPTS_REF}", "remove", second, at=machine.clone)

    assert machine.verify(third).returncode == 0
    refused(machine.verify("--chain", third), "receipt 2 is not in the notes, or was changed")
    assert machine.verify("--chain", first).returncode == 0


def test_no_byte_of_a_note_can_be_changed(line: ProductionLine, machine_of: MachineOf) -> None:
    """Every byte by the function that the command calls; some by the command itself."""
    sha = line.deliver().commit_sha
    machine = machine_of(line)
    note = machine.note(sha)
    keys = envelopes.read_keys(machine.key.read_text())

    for place in range(len(note)):
        changed = note[:place] + chr(ord(note[place]) ^ 1) + note[place + 1 :]
        with pytest.raises(envelopes.NotVerified):
            envelopes.open_envelope(changed, keys)
        if place % (len(note) // 4) == 7:
            machine.put_note(sha, changed)
            refused(machine.verify(sha), "")
    machine.put_note(sha, note)
    assert machine.verify(sha).returncode == 0


def test_another_key_does_not_verify(line: ProductionLine, machine_of: MachineOf) -> None:
    sha = line.deliver().commit_sha
    machine = machine_of(line)
    machine.key.write_text(envelopes.public_key(b"x" * 32))

    refused(machine.verify(sha), "it is signed by another key")


def test_a_receipt_may_come_from_a_file(line: ProductionLine, machine_of: MachineOf) -> None:
    sha = line.deliver().commit_sha
    machine = machine_of(line)
    note, file = machine.note(sha), machine.folder / "receipt.json"
    git("update-ref", "-d", RECEIPTS_REF, at=machine.clone)

    for content in (note, note + "\n", json.dumps(line.world.client.get(f"/api/receipts/{sha}").json)):
        file.write_text(content)
        assert machine.verify(sha, "--receipt", str(file)).returncode == 0
    file.write_text(note.replace("a", "b", 1))
    refused(machine.verify(sha, "--receipt", str(file)), "")
    file.write_text("")
    refused(machine.verify(sha, "--receipt", str(file)), "there is no receipt")


def test_nothing_of_the_platform_is_loaded(line: ProductionLine, machine_of: MachineOf) -> None:
    sha = line.deliver().commit_sha
    machine = machine_of(line)

    ended = machine.run("verify", "--chain", "--key", str(machine.key), sha, before=PROGRAM)

    assert ended.returncode == 0, ended.stderr
    loaded = set(ended.stdout.splitlines()[-1].split())
    assert loaded & HEAVY == set()
    assert {name for name in loaded if name.startswith("common.")} <= {
        "common.errors",
        "common.machine",
        "common.machine.imports_without_gc",
        "common.secrets",
        "common.secrets.envelopes",
        "common.secrets.statement_types",
        "common.values",
        "common.values.names",
    }
    assert list((machine.folder / "home").iterdir()) == []


def test_the_receipt_of_another_commit_does_not_fit(line: ProductionLine, machine_of: MachineOf) -> None:
    first, second = line.deliver().commit_sha, line.deliver().commit_sha
    machine = machine_of(line)
    machine.put_note(second, machine.note(first))

    refused(machine.verify(second), f"it is the receipt of another commit, {first}")
