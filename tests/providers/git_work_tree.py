"""Commits for tests, made by real git in a work tree of the test's own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from common.machine.git.environment import git_environment, identity
from tests.long_waits import LONG_WAIT_SECONDS


def git(*arguments: str, at: Path | None = None, accept: tuple[int, ...] = (0,)) -> str:
    """Run git as a person would, without this machine's configuration; returns what it said, both outputs."""
    base = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C"}
    environment = git_environment(base | identity("ada@example.org", "ada@example.org"))
    done = subprocess.run(
        ["git", *arguments], cwd=at, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=LONG_WAIT_SECONDS,
    )  # fmt: skip
    said = done.stdout.decode("utf-8", "replace")
    assert done.returncode in accept, f"git {arguments} ended with {done.returncode}: {said}"
    return said.strip()


class WorkTree:
    """A clone that commits and pushes."""

    def __init__(self, path: Path, clone_url: str) -> None:
        self.path = path
        git("clone", "--quiet", clone_url, str(path))

    def commit(self, files: Mapping[str, str | bytes | None], *, on: str, start: str = "HEAD") -> str:
        """A commit on the branch, made at `start` if there is none yet; None deletes a file. Returns its SHA."""
        # The branch that is checked out may have no commit yet: then there is nothing to switch to.
        if git("symbolic-ref", "--short", "HEAD", at=self.path) != on:
            exists = git("branch", "--list", on, at=self.path)
            git("checkout", "--quiet", *([on] if exists else ["-b", on, start]), at=self.path)
        for name, content in files.items():
            place = self.path / name
            if content is None:
                place.unlink()
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content if isinstance(content, bytes) else content.encode())
        git("add", "--all", at=self.path)
        git("commit", "--quiet", "--message", f"Change {on}", at=self.path)
        return git("rev-parse", "HEAD", at=self.path)

    def push(self, *refspecs: str, to: str = "origin", accept: tuple[int, ...] = (0,)) -> str:
        return git("push", "--quiet", to, *refspecs, at=self.path, accept=accept)
