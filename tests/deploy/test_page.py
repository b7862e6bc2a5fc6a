"""The page that tells how to install: what it names is there, and what it says can be left out can be."""

from __future__ import annotations

import re

from tests.servers import ROOT

PAGE = (ROOT / "docs/install-kubernetes.md").read_text()
EXAMPLE = ROOT / "deploy/overlays/example"


def _names(text: str) -> list[str]:
    return re.findall(r"^ *([A-Z_]+)=", text, re.MULTILINE)


def test_the_pages_command_writes_every_secret_of_the_example() -> None:
    command = PAGE[PAGE.index("<<END") : PAGE.index("\n   END\n")]

    assert _names(command) == _names((EXAMPLE / "secret.env.example").read_text())
