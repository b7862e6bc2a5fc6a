"""The doctor waits for whatever answers, however busy the machine is."""

from __future__ import annotations

import pytest

from tests.web.doctor.patient_doctor import wait_longer


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    wait_longer(monkeypatch.setattr)
