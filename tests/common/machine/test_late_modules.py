"""A late module is loaded when something of it is first used, and an `except` that names it loads nothing."""

from __future__ import annotations

import subprocess
import sys

from tests.servers import ROOT

PROGRAM = """
import sys
from common.machine.late_modules import late_module
late = late_module("colorsys")
try:
    pass
except late.Missing:
    pass
print("colorsys" in sys.modules)
print(late.rgb_to_hsv(1, 1, 1), "colorsys" in sys.modules)
import colorsys
print(late.rgb_to_hsv is colorsys.rgb_to_hsv)
try:
    late.missing
except AttributeError as error:
    print(error)
"""


def test_the_first_use_loads_it() -> None:
    said = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert said.splitlines() == [
        "False", "(0.0, 0.0, 1) True", "True", "module 'colorsys' has no attribute 'missing'"
    ]  # fmt: skip
