"""The doctor says with what pictures of previews are taken, or why none are; that is no fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.settings import settings
from web.doctor.picture_browser import examine_pictures


def said(monkeypatch: pytest.MonkeyPatch, **environ: str) -> tuple[str, str]:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    (found,) = examine_pictures(settings())
    settings.cache_clear()
    assert found.part == "pictures"
    return found.status, found.says


@pytest.fixture(autouse=True)
def _own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIWORKER_DATA_DIR", str(tmp_path / "data"))


def test_why_none_are_taken_is_said(whole_chromium_path: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    none = "none are taken of previews: "
    assert said(monkeypatch, AIWORKER_CHROMIUM="off") == ("ok", f"{none}AIWORKER_CHROMIUM=off")
    status, says = said(monkeypatch, AIWORKER_CHROMIUM="/nowhere/chromium")
    assert (status, says) == ("warn", f"{none}AIWORKER_CHROMIUM=/nowhere/chromium is not a program")
    status, says = said(monkeypatch, AIWORKER_CHROMIUM=whole_chromium_path, AIWORKER_SANDBOX="off")
    assert (status, "AIWORKER_SANDBOX=off" in says) == ("ok", True)
    status, says = said(monkeypatch, AIWORKER_CHROMIUM="", PATH=str(tmp_path), AIWORKER_SANDBOX="auto")
    assert (status, "there is no Chromium" in says) == ("ok", True)
