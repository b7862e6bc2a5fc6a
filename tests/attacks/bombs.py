"""Commits that are small to push and too large to work with."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from common.machine.git.environment import git_environment, identity


def tree_bomb(at: Path, *, parent: str = "HEAD", levels: int = 10, width: int = 10) -> str:
    """A commit of a few objects that stand for width ** levels files, in the repository at `at`. Returns its SHA."""
    blob = _git(at, "hash-object", "-w", "--stdin", said=b"x\n")
    tree = _tree(at, [f"100644 blob {blob}\tf{number}" for number in range(width)])
    for _ in range(levels - 1):
        tree = _tree(at, [f"040000 tree {tree}\td{number}" for number in range(width)])
    return _git(at, "commit-tree", tree, "-p", parent, said=b"Bomb\n")


def odd_tree_bomb(at: Path) -> str:
    """As `tree_bomb`, of folders with a mode that git reads as a folder's and never writes."""
    blob = _git(at, "hash-object", "-w", "--stdin", said=b"x\n")
    tree = _raw_tree(at, [(b"100644", b"f%d" % number, blob) for number in range(10)])
    return _folders(at, tree, mode=b"40755")


def submodule_bomb(at: Path) -> str:
    """As `tree_bomb`, of submodules: they are no objects of the repository."""
    return _folders(at, _raw_tree(at, [(b"160000", b"s%d" % number, "1" * 40) for number in range(10)]))


def empty_bomb(at: Path) -> str:
    """As `tree_bomb`, of folders without a file."""
    return _folders(at, _raw_tree(at, []))


def file_of_zeros(at: Path, size: int) -> str:
    """A commit with one file of that many zeros, which are packed a thousandfold."""
    blob = _git(at, "hash-object", "-w", "--stdin", said=bytes(size))
    tree = _tree(at, [f"100644 blob {blob}\tzeros"])
    return _git(at, "commit-tree", tree, "-p", "HEAD", said=b"Zeros\n")


def _folders(at: Path, tree: str, *, mode: bytes = b"40000") -> str:
    for _ in range(9):
        tree = _raw_tree(at, [(mode, b"d%d" % number, tree) for number in range(10)])
    return _git(at, "commit-tree", tree, "-p", "HEAD", said=b"Bomb\n")


def _raw_tree(at: Path, entries: list[tuple[bytes, bytes, str]]) -> str:
    content = b"".join(b"%s %s\0%s" % (mode, name, bytes.fromhex(sha)) for mode, name, sha in entries)
    return _git(at, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", said=content)


def _tree(at: Path, entries: list[str]) -> str:
    return _git(at, "mktree", said="".join(f"{entry}\n" for entry in entries).encode())


def _git(at: Path, *arguments: str, said: bytes) -> str:
    environment = git_environment({"PATH": os.environ["PATH"]} | identity("ada@example.org", "ada@example.org"))
    done = subprocess.run(
        ["git", *arguments], cwd=at, env=environment, input=said, stdout=subprocess.PIPE, check=True, timeout=60
    )
    return done.stdout.decode().strip()
