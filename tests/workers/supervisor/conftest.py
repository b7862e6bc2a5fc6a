"""What tests of confined commands need of the machine."""

from __future__ import annotations

import pytest

from common.machine.bubblewrap import find_sandbox
from tests.conftest import leave_out


@pytest.fixture(scope="session")
def confining() -> None:
    """Leave tests out where no sandbox can be made."""
    finding = find_sandbox()
    if not finding.is_confining:
        leave_out(f"{finding.why_not} (on Debian: apt-get install bubblewrap)")
