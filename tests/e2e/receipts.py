"""The story's receipts, checked as on another machine: a fresh clone, the public key, an empty home, no platform."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from common.values.names import RECEIPTS_REF
from tests.e2e.instance import ROOT, Instance, wait_until
from tests.providers.git_work_tree import git


def check_receipts(instance: Instance, clone_url: str, commits: set[str], *, amount: int) -> None:
    """Each commit verifies, back to the first, and with a flipped byte it does not. amount: of receipts in all."""
    with tempfile.TemporaryDirectory() as name:
        machine = _Machine(Path(name), instance, clone_url)
        wait_until("a note for each receipt", lambda: machine.receipts() == amount)
        for sha in commits:
            said = machine.verify("--chain", sha)
            assert (said.returncode, said.stdout.splitlines()[-1:]) == (0, [f"verified: {sha}"]), said
            machine.flip(sha)
            said = machine.verify(sha)
            assert said.returncode == 1, said
            assert said.stdout.startswith("not verified: "), said
            machine.fetch()


class _Machine:
    def __init__(self, folder: Path, instance: Instance, clone_url: str) -> None:
        self._folder, self._clone, self._key = folder, folder / "clone", folder / "aiworker.pem"
        (folder / "home").mkdir()
        printed = _run("public-key", at=ROOT, environ=instance.environ)
        assert printed.returncode == 0, printed
        self._key.write_text(printed.stdout)
        git("clone", "--quiet", clone_url, str(self._clone))

    def fetch(self) -> None:
        """Bring the notes as they are in the repository."""
        git("fetch", "--quiet", "--force", "origin", f"+{RECEIPTS_REF}*:{RECEIPTS_REF}*", at=self._clone)

    def receipts(self) -> int:
        self.fetch()
        noted = git("notes", f"--ref={RECEIPTS_REF}", "list", at=self._clone).split()[1::2]
        return sum(len(self._note(sha).splitlines()) for sha in noted)

    def verify(self, *words: str) -> subprocess.CompletedProcess[str]:
        environ = {"PATH": os.environ["PATH"], "HOME": str(self._folder / "home"), "PYTHONPATH": str(ROOT)}
        return _run("verify", "--key", str(self._key), *words, at=self._clone, environ=environ)

    def flip(self, sha: str) -> None:
        """Change one byte in the middle of the note."""
        note = self._note(sha)
        middle = len(note) // 2
        file = self._folder / "note"
        file.write_text(note[:middle] + chr(ord(note[middle]) ^ 1) + note[middle + 1 :])
        git("notes", f"--ref={RECEIPTS_REF}", "add", "--force", "--file", str(file), sha, at=self._clone)

    def _note(self, sha: str) -> str:
        return git("notes", f"--ref={RECEIPTS_REF}", "show", sha, at=self._clone)


def _run(*words: str, at: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "web.cli", *words], cwd=at, env=environ, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
