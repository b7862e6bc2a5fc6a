"""What the doctor says of files of certificates that are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from web.doctor.certificates import examine_certificates
from web.doctor.checks import examine


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_file_that_is_not_there_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there, gone = tmp_path / "there.pem", tmp_path / "gone.pem"
    there.touch()
    assert list(examine_certificates({name: str(there)})) == []
    # The settings are wrong, so that nothing is asked.
    monkeypatch.setenv("AIWORKER_PORT", "none")
    monkeypatch.setenv(name, str(gone))

    found = [(one.status, one.says) for one in examine() if one.part == "certificates"]

    assert found == [("fail", f"{name} names {gone}, which can't be read; correct it, or unset it")]
