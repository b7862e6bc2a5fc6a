"""The doctor reads all advisories of the operator's."""

from __future__ import annotations

from pathlib import Path

from common.settings import ScanSettings
from tests.providers.test_advisories import advisory, write
from web.doctor.advisory_files import examine_advisories


def test_the_doctor_counts_advisories_and_names_a_broken_file(tmp_path: Path) -> None:
    assert list(examine_advisories(ScanSettings())) == []

    source = write(tmp_path / "osv", advisory(), advisory("npm", "left-pad", "GHSA-2"), advisory("Go", "a.b/c", "GO-3"))
    (good,) = examine_advisories(ScanSettings(advisories_path=source))
    assert (good.status, good.says) == ("ok", f"3 at {source}: Go 1, PyPI 1, npm 1")

    (source / "0.json").write_text('{"id": 1}')
    (bad,) = examine_advisories(ScanSettings(advisories_path=source))
    assert bad.status == "fail"
    assert bad.says.startswith(f"the advisories of AIWORKER_ADVISORIES can't be read: {source}/0.json: id is no text")
