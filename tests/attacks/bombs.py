"""Commits that are small to push and too large to work with."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from common.machine.git_environment import git_environment, identity


def tree_bomb(at: Path, *, parent: str = "HEAD", levels: int = 10, width: int = 10) -> str:
    """A commit of a few objects that stand for width ** levels files, in the repository at `at`. Returns its SHA."""
    blob = _git(at, "hash-object", "-w", "--stdin", said=b"x\n")
    tree = _tree(at, [f"100644 blob {blob}\tf{number}" for number in range(width)])
    for _ in range(levels - 1):
        tree = _tree(at, [f"040000 tree {tree}\td{number}" for number in range(width)])
    return _git(at, "commit-tree", tree, "-p", parent, said=b"Bomb\n")


def deep_tree(at: Path, *, depth: int) -> str:
    """A commit with one file below that many folders."""
    blob = _git(at, "hash-object", "-w", "--stdin", said=b"x\n")
    tree = _tree(at, [f"100644 blob {blob}\tf"])
    for _ in range(depth):
        tree = _tree(at, [f"040000 tree {tree}\td"])
    return _git(at, "commit-tree", tree, "-p", "HEAD", said=b"Deep\n")


def file_of_zeros(at: Path, size: int) -> str:
    """A commit with one file of that many zeros, which are packed a thousandfold."""
    blob = _git(at, "hash-object", "-w", "--stdin", said=bytes(size))
    tree = _tree(at, [f"100644 blob {blob}\tzeros"])
    return _git(at, "commit-tree", tree, "-p", "HEAD", said=b"Zeros\n")


def _tree(at: Path, entries: list[str]) -> str:
    return _git(at, "mktree", said="".join(f"{entry}\n" for entry in entries).encode())


def _git(at: Path, *arguments: str, said: bytes) -> str:
    environment = git_environment({"PATH": os.environ["PATH"]} | identity("ada@example.org", "ada@example.org"))
    done = subprocess.run(
        ["git", *arguments], cwd=at, env=environment, input=said, stdout=subprocess.PIPE, check=True, timeout=60
    )
    return done.stdout.decode().strip()
