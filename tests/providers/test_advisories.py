"""Advisories in the OSV format: which versions they are about, how often their files are read, what is refused."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from common.errors import ProviderUnavailable
from common.providers.advisories import Advisories, examine
from common.values.testing.packages import Package


def advisory(
    ecosystem: str = "PyPI", name: str = "requests", advisory_id: str = "GHSA-1", **more: Any
) -> dict[str, Any]:
    """About versions below 2.20.0."""
    events = more.pop("events", [{"introduced": "0"}, {"fixed": "2.20.0"}])
    kind = "ECOSYSTEM" if ecosystem == "PyPI" else "SEMVER"
    affected = {"package": {"ecosystem": ecosystem, "name": name}, "ranges": [{"type": kind, "events": events}]}
    affected |= {"versions": more.pop("versions", [])}
    return {"id": advisory_id, "summary": "Leaks a header", "affected": [affected], **more}


def write(folder: Path, *documents: object) -> Path:
    folder.mkdir(exist_ok=True)
    for number, document in enumerate(documents):
        (folder / f"{number}.json").write_text(json.dumps(document))
    return folder


def ids(source: Path, *packages: Package) -> list[str]:
    found = Advisories(source).read_advisories(packages)
    return [entry.advisory_id for entries in found.values() for entry in entries]


def pypi(version: str, name: str = "requests") -> Package:
    return Package("PyPI", name, version)


RANGES: list[tuple[str, list[dict[str, str]], dict[str, bool]]] = [
    ("PyPI", [{"introduced": "0"}, {"fixed": "2.20.0"}], {"2.19.1": True, "2.20": False, "2.20.0rc1": True}),
    ("PyPI", [{"introduced": "1.0"}, {"last_affected": "1.5"}], {"0.9": False, "1.0": True, "1.5.0": True, "2": False}),
    (
        "PyPI",
        [{"introduced": "1"}, {"fixed": "1.2"}, {"introduced": "2"}, {"fixed": "2.1"}],
        {"1.1": True, "1.9": False, "2.0": True, "2.1": False},
    ),
    ("npm", [{"introduced": "1.0.0"}, {"fixed": "1.2.3"}], {"1.2.3-beta.1": True, "1.2.3": False, "0.9.9": False}),
    ("npm", [{"fixed": "1.2.3"}, {"introduced": "0"}], {"1.0.0": True, "1.10.0": False}),
    ("npm", [{"introduced": "0"}], {"99.0.0": True}),
    ("npm", [{"introduced": "0"}, {"limit": "2.0.0"}], {"1.0.0": True, "2.0.0": False}),
    (
        "Go",
        [{"introduced": "0"}, {"fixed": "0.0.0-20220412211240-33da011f77ad"}],
        {"0.0.0-20210101000000-aaaaaaaaaaaa": True, "0.1.0": False},
    ),
    ("Go", [{"introduced": "3.0.0"}], {"3.0.0+incompatible": True}),
    ("crates.io", [{"introduced": "0.0.0-0"}, {"fixed": "0.2.23"}], {"0.1.40": True, "0.2.23": False}),
]  # fmt: skip


@pytest.mark.parametrize(("ecosystem", "events", "versions"), RANGES)
def test_a_range_decides_which_versions_are_affected(
    tmp_path: Path, ecosystem: str, events: list[dict[str, str]], versions: dict[str, bool]
) -> None:
    source = write(tmp_path / "osv", advisory(ecosystem, "x", events=events))
    found = Advisories(source).read_advisories([Package(ecosystem, "x", version) for version in versions])

    assert {version: Package(ecosystem, "x", version) in found for version in versions} == versions


def test_listed_versions_are_affected_and_unknown_orders_count(tmp_path: Path) -> None:
    source = write(tmp_path / "osv", advisory(events=[{"introduced": "5"}, {"fixed": "6"}], versions=["1.0", "2004d"]))

    assert ids(source, pypi("1.0.0"), pypi("2.0")) == ["GHSA-1"]
    assert ids(source, pypi("2004d")) == ["GHSA-1"]
    # Nobody can say whether this one lies between 5 and 6.
    assert ids(source, pypi("final-cut")) == ["GHSA-1"]


def test_what_is_withdrawn_or_about_commits_is_left_out_and_aliases_count_once(tmp_path: Path) -> None:
    source = write(
        tmp_path / "osv",
        advisory(withdrawn="2024-01-01T00:00:00Z"),
        {"id": "OSV-1", "affected": [{"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}]},
        advisory(advisory_id="PYSEC-2", aliases=["CVE-1", "GHSA-2"]),
        advisory(advisory_id="GHSA-2", aliases=["CVE-1"]),
    )

    assert ids(source, pypi("2.0")) == ["GHSA-2"]


def test_a_file_a_list_and_a_zip_are_read_alike(tmp_path: Path) -> None:
    one, many, archive = tmp_path / "one.json", tmp_path / "many.json", tmp_path / "all.zip"
    one.write_text(json.dumps(advisory()))
    many.write_text(json.dumps([advisory(), advisory(advisory_id="GHSA-2")]))
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("PyPI/GHSA-1.json", json.dumps(advisory()))
        written.writestr("README.md", "no advisory")

    assert (ids(one, pypi("1.0")), ids(many, pypi("1.0")), ids(archive, pypi("1.0"))) == (
        ["GHSA-1"], ["GHSA-1", "GHSA-2"], ["GHSA-1"],
    )  # fmt: skip
    assert ids(tmp_path, pypi("1.0")) == ["GHSA-1", "GHSA-2"]
    assert examine(archive) == (1, {"PyPI": 1})


def test_files_are_read_again_once_they_change(tmp_path: Path) -> None:
    source = write(tmp_path / "osv", advisory())
    known = Advisories(source)
    assert known.read_advisories([pypi("1.0")])

    inner = known._entries["PyPI"]
    known.read_advisories([pypi("1.0")])
    known.read_advisories([Package("npm", "x", "1.0.0")])
    assert known._entries["PyPI"] is inner

    write(source, advisory(advisory_id="GHSA-9", events=[{"introduced": "0"}, {"fixed": "0.5"}]))
    os.utime(source / "0.json", ns=(1, 1))
    assert known.read_advisories([pypi("1.0")]) == {}


BROKEN: list[tuple[str, str]] = [
    ("{", "is no JSON"), ("[1]", "it is no object"), ('{"affected": []}', "id is no text"),
    ('{"id": "A", "affected": {}}', "affected is no list"),
    ('{"id": "A", "affected": [{"package": {"name": "x"}}]}', "affected.package.ecosystem is no text"),
    ('{"id": "A", "affected": [{"package": {"name": "x", "ecosystem": "a"}, "ranges": [{"events": [{"fixed": 1}]}]}]}',
     "affected.ranges.events.fixed is no text"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "why"), BROKEN)
def test_a_broken_file_is_named_and_nothing_is_known(tmp_path: Path, text: str, why: str) -> None:
    source = write(tmp_path / "osv", advisory())
    (source / "broken.json").write_text(text)
    known = Advisories(source)

    for _again in range(2):
        with pytest.raises(ProviderUnavailable) as raised:
            known.read_advisories([pypi("1.0")])
        assert "AIWORKER_ADVISORIES" in str(raised.value)
        assert f"{source}/broken.json" in str(raised.value)
        assert why in str(raised.value)
        assert "\n" not in str(raised.value)

    (source / "broken.json").unlink()
    assert known.read_advisories([pypi("1.0")])
