"""Writes the wheel of the client for Python, which every instance serves too: `make client`."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from web import VERSION  # noqa: E402 (found by the line above)
from web.app import description  # noqa: E402
from web.client.wheel import file_name, wheel_of  # noqa: E402

if __name__ == "__main__":
    to = ROOT / "dist" / file_name(VERSION)
    to.parent.mkdir(exist_ok=True)
    to.write_bytes(wheel_of(description()))
    print(to.relative_to(ROOT))
