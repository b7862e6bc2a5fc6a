"""Forbidden paths cover all that git would ignore by the same patterns, and what could take their place."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from common.values.path_patterns import PathPatterns, why_refused
from tests.providers.git_work_tree import git

PATTERNS = [
    "ci/**", "**/secrets/**", "vault/", ".gitea", "src/**/locked.py", "infra/*", "Dockerfile", "/Dockerfile", "*.lock",
    "**/*.pem", "docs/*.md", "a/b", "/a/b/", "**", "*", "**/", "x[0-9].txt", "x[!0-9].txt", "x[^0-9].txt", "[ab]/c",
    "\\#x", "\\!x", "app/\\[id\\]/**", "a?c", "*/deep", "a/**/b/**/c", "CI/**", "sp ace", " lead", "x[ ]", "end\\*",
    "[]x]", "src/*/keys", "a/b**",
]  # fmt: skip
PATHS = [
    "ci/deploy.sh", "ci/a/b.sh", "x/ci/deploy.sh", "secrets/k", "a/secrets/k", "a/b/secrets/c/k", "vault/k",
    "a/vault/k", ".gitea/workflows/x", "a/.gitea", "src/locked.py", "src/a/b/locked.py", "locked.py", "infra/x",
    "infra/x/y", "Dockerfile", "a/Dockerfile", "poetry.lock", "a/poetry.lock", "x.lock/file", "key.pem", "a/key.pem",
    "docs/a.md", "docs/a/b.md", "a/docs/a.md", "a/b", "a/b/c", "x/a/b/c", "x1.txt", "xa.txt", "x^.txt", "a/c", "b/c",
    "c/c", "#x",
    "!x", "app/[id]/page", "app/i/page", "abc", "a\nc", "x/deep", "deep", "a/b/c/d", "a/x/b/y/c", "CI/x", "sp ace",
    "lead", " lead", "x ", "x", "end*", "endx", "]", "a\nb/secrets/k", "ci/a\nb", "src/a\nb/locked.py",
    "caf\u00e9/vault/k", "src/x/keys", "src/x/keys/y", "a/bc/d",
]  # fmt: skip


def test_what_git_ignores_is_covered(tmp_path: Path) -> None:
    """git itself is asked, for every pattern with every path."""
    git("init", "--quiet", str(tmp_path))
    missed, more = [], []
    for pattern in PATTERNS:
        (tmp_path / ".git" / "info" / "exclude").write_text(pattern + "\n")
        assert why_refused(pattern) is None, pattern
        covered = PathPatterns([pattern])
        ignored = _ignored(tmp_path)
        missed += [(pattern, path) for path in PATHS if path in ignored and not covered.covers(path)]
        more += [(pattern, path) for path in PATHS if path not in ignored and covered.covers(path)]
    assert missed == []
    # A directory's name stands for what could take its place, too.
    assert more == [("/a/b/", "a/b")]


def _ignored(repository: Path) -> set[str]:
    asked = "".join(f"{path}\0" for path in PATHS).encode()
    command = ["git", "check-ignore", "--no-index", "-z", "--stdin"]
    done = subprocess.run(command, cwd=repository, input=asked, capture_output=True, check=False)
    assert done.returncode in {0, 1}, done.stderr
    return set(done.stdout.decode().split("\0"))


@pytest.mark.parametrize(
    ("pattern", "path", "leads_elsewhere"),
    [
        ("ci/**", "ci", False), ("ci/*", "ci", False), ("ci/", "ci", False), ("vault/", "a/vault", False),
        ("**/secrets/**", "a/secrets", True), (".github/workflows/**", ".github", True),
        ("src/**/locked.py", "src", True), ("src/**/locked.py", "src/a/b", True), ("ci/deploy.sh", "ci", True),
        ("*/keys", "x", True),
    ],
)  # fmt: skip
def test_what_could_take_a_forbidden_places_place_is_covered(pattern: str, path: str, leads_elsewhere: bool) -> None:
    assert PathPatterns([pattern]).covers(path, leads_elsewhere=leads_elsewhere)


@pytest.mark.parametrize(
    ("pattern", "path", "leads_elsewhere"),
    [
        ("ci/**", "cix", False), (".git/**", "src/.git", False), ("/Dockerfile", "a/Dockerfile", False),
        ("ci/**", "x/ci", True), ("ci/**", "CI/x", False), ("*/**", "readme", False),
        ("src/**/locked.py", "src/a/open.py", False), ("src/**/locked.py", "docs", True),
        ("ci/deploy.sh", "ci/other", True), ("**/secrets/**", "docs", True), ("*.lock", "lock", True),
    ],
)  # fmt: skip
def test_what_is_beside_a_forbidden_path_is_not_covered(pattern: str, path: str, leads_elsewhere: bool) -> None:
    assert not PathPatterns([pattern]).covers(path, leads_elsewhere=leads_elsewhere)


@pytest.mark.parametrize(
    "pattern",
    [
        "", " ", "/", "//", "#secrets", "!keep", "a//b", "./a", "a/../b", "a/.", "..", "a\\", "x[a", "x[z-a]", "a[/]b",
        "[[:alpha:]]x", "a\tb", "a\nb", "a\0b", "a\u202eb", "x ", "a\\/b", "[\\]]x", "***", "a/***", "***/b",
    ],
)  # fmt: skip
def test_what_can_not_hold_is_refused(pattern: str) -> None:
    assert why_refused(pattern)
    with pytest.raises(ValueError, match="has no effect"):
        PathPatterns([pattern])
