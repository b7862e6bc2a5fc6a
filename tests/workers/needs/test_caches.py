"""Cached folders: copied, found by lock files, bounded, and never trusted when damaged or behind a link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from workers.needs.caches import Caches, cache_key

PATHS = ("node_modules", "web/deps")


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A checkout whose setup command has run."""
    return _checkout(tmp_path / "first", is_set_up=True)


@pytest.fixture
def caches(tmp_path: Path) -> Caches:
    return Caches(tmp_path / "caches")


def _checkout(place: Path, *, is_set_up: bool = False) -> Path:
    place.mkdir()
    (place / "package-lock.json").write_text("{}")
    if is_set_up:
        for path in PATHS:
            (place / path).mkdir(parents=True)
            (place / path / "package").write_text(f"of {path}")
    return place


def test_a_later_clone_gets_copies(caches: Caches, code: Path, tmp_path: Path) -> None:
    assert caches.save("p", "k", PATHS, code) == "cached: node_modules, web/deps"
    assert caches.save("p", "k", PATHS, code) is None
    second, third = _checkout(tmp_path / "second"), _checkout(tmp_path / "third")
    assert caches.restore("p", "k", PATHS, second) == "restored from the cache: node_modules, web/deps"
    (second / "node_modules" / "package").write_text("poisoned")
    caches.restore("p", "k", PATHS, third)

    assert (third / "node_modules" / "package").read_text() == "of node_modules"
    assert (third / "web" / "deps" / "package").read_text() == "of web/deps"
    assert caches.restore("other", "k", PATHS, _checkout(tmp_path / "fourth")) is None


def test_the_key_follows_the_lock_files_beside_the_folders(code: Path) -> None:
    first = cache_key(code, "npm ci", PATHS)
    (code / "src.js").write_text("changed")
    assert cache_key(code, "npm ci", PATHS) == first
    assert cache_key(code, "npm install", PATHS) != first
    (code / "web" / "yarn.lock").write_text("")
    other = cache_key(code, "npm ci", PATHS)
    assert other != first
    (code / "package-lock.json").write_text('{"x": 1}')

    assert cache_key(code, "npm ci", PATHS) not in {first, other}


def test_a_lock_file_that_is_a_pipe_or_a_link_is_no_lock_file(code: Path, tmp_path: Path) -> None:
    (code / "package-lock.json").unlink()
    without = cache_key(code, None, PATHS)
    os.mkfifo(code / "package-lock.json")
    (tmp_path / "outside").write_text("secret")
    (code / "yarn.lock").symlink_to(tmp_path / "outside")

    assert cache_key(code, None, PATHS) == without


@pytest.mark.parametrize("damage", ["longer", "manifest"])
def test_a_damaged_cache_is_ignored_and_made_anew(caches: Caches, code: Path, tmp_path: Path, damage: str) -> None:
    caches.save("p", "k", PATHS, code)
    kept = tmp_path / "caches" / "p" / "k"
    package = kept / "0" / "package"
    if damage == "longer":
        package.write_text("x" * 100)
    else:
        (kept / "manifest.json").write_text("{")
    second = _checkout(tmp_path / "second")

    assert caches.restore("p", "k", PATHS, second) is None
    assert not (second / "node_modules").exists()
    assert caches.save("p", "k", PATHS, code) is not None
    assert caches.restore("p", "k", PATHS, second) is not None


def test_a_link_in_a_commit_leads_nowhere(caches: Caches, code: Path, tmp_path: Path) -> None:
    paths = ("a/b/deps",)
    (code / "a" / "b" / "deps").mkdir(parents=True)
    caches.save("p", "k", paths, code)
    outside = tmp_path / "outside"
    (outside / "b" / "deps").mkdir(parents=True)
    (outside / "b" / "deps" / "secret").touch()
    second = _checkout(tmp_path / "second")
    (second / "a").symlink_to(outside)

    assert caches.restore("p", "k", paths, second) is None
    assert caches.save("p", "other", paths, second) is None
    (outside / "b" / "deps" / "secret").unlink()
    (outside / "b" / "deps").rmdir()
    (outside / "b").rmdir()
    assert caches.restore("p", "k", paths, second) is None
    assert list(outside.iterdir()) == []


def test_old_caches_and_those_of_a_removed_project_are_removed(caches: Caches, code: Path, tmp_path: Path) -> None:
    caches.save("p", "old", PATHS, code)
    os.utime(tmp_path / "caches" / "p" / "old", (1e9, 1e9))
    caches.save("p", "new", PATHS, code)

    assert [path.name for path in (tmp_path / "caches" / "p").iterdir()] == ["new"]
    caches.forget("p")
    caches.forget("p")
    assert not (tmp_path / "caches" / "p").exists()
