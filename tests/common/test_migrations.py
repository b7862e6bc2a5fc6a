"""What a migration makes of the rows that are there."""

from __future__ import annotations

import importlib
from pathlib import PurePosixPath

from common.path_patterns import PathPatterns

AS_GITIGNORE = importlib.import_module("common.migrations.versions.0004_proof_and_approval").as_gitignore

OLD_PATTERNS = [
    ".git/**", ".github/workflows/**", "app/[id]/**", "#x", "!x", "a//b", "/Dockerfile", "Dockerfile", "**/*.lock",
    "docs/*.md", "vault/", "src/**/locked.py", "x[0-9].txt", "x[!0-9].txt", "x[^0-9].txt", "x[a", "x[z-a]y", "[]x]",
    "/", "**", "a/***", "/**", "a*b*c*d*e", "[[x]", "x[^]", "/ci/**", "*/b", "a?c", "[^]a]",
]  # fmt: skip
PATHS = [
    ".git/x", ".github/workflows/a/b.yml", "app/[id]/page", "app/i/page", "#x", "a/#x", "!x", "a/b", "a/x/b",
    "Dockerfile", "a/Dockerfile", "x.lock", "a/x.lock", "docs/a.md", "vault", "a/vault", "src/x/locked.py", "x1.txt",
    "xa.txt", "x^.txt", "x[a", "x[z-a]y", "]", "x", "a/b/c", "abcde", "axbxcxdxe", "[x", "x[^]", "ci/x", "abc", "^",
    "a", "^a]", "x^", "xy", "[",
]  # fmt: skip


def _matched_before(path: str, pattern: str) -> bool:
    """The rules as they were, to the letter."""
    if pattern.endswith("/**"):
        return path.startswith(pattern[:-2])
    if pattern.startswith("**/"):
        return PurePosixPath(path).match(pattern[3:])
    if "/" in pattern:
        return PurePosixPath("/" + path).match("/" + pattern.lstrip("/"))
    return PurePosixPath(path).match(pattern)


def test_former_patterns_cover_at_least_what_they_did() -> None:
    missed = []
    for old in OLD_PATTERNS:
        new = AS_GITIGNORE(old)
        before = {path for path in PATHS if _matched_before(path, old)}
        assert (new is None) <= (not before), (old, before)
        covered = PathPatterns([new]) if new is not None else None
        missed += [(old, new, path) for path in before if covered is None or not covered.covers(path)]
    assert missed == []
