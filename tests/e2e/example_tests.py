"""Files of tests that the work of the example story brings."""

from __future__ import annotations

KEPT = "import unittest\n\nclass Kept(unittest.TestCase):\n    def test_kept(self):\n        self.assertTrue(1)\n"
# Of thirty coins, one that fell on its wrong side falls on the other the next time.
LUCK = """import random
import unittest


class Luck(unittest.TestCase):
    pass


for number in range(30):
    setattr(Luck, f"test_coin_{number}", lambda self: self.assertLess(random.random(), 0.5))
"""
