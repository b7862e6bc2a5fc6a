"""What is made at the start of a process is not looked through for garbage, and everything else is."""

from __future__ import annotations

import subprocess
import sys

from tests.servers import ROOT

PROGRAM = """
import gc
from common.machine.lasting import lasting
with lasting():
    kept = [[] for _ in range(5000)]
    inside = gc.isenabled()
print(inside, gc.isenabled(), gc.get_freeze_count() > 5000, any(one is kept for one in gc.get_objects()))
gc.disable()
with lasting():
    pass
print(gc.isenabled())
"""


def test_the_collector_leaves_out_what_lasts_and_goes_on_afterwards() -> None:
    said = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert said.splitlines() == ["False True True False", "False"]
