"""The command lines of the drivers, as far as no real CLI shows them: secrets, models, and what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.values.runs.drivers import KNOWN_DRIVERS, known_driver
from workers.runner.drivers.program import ModelAccess, ToolServer, Work
from workers.runner.drivers.programs import PROGRAM_DRIVERS

ALL_APIS = ("anthropic", "openai", "gemini")


def _work(home: Path, *apis: str, model: str | None = None, resume: str | None = None) -> Work:
    models = ModelAccess(dict.fromkeys(apis, "http://gateway"), "awm_canary", model) if apis else None
    tools = ToolServer("python", ("shim", "/run/tools.sock"))
    return Work("Do it.", home / "workspace", home, resume, models, tools, "/bin/cli", ("/bin/cli",))


def test_every_known_driver_has_a_driver_here() -> None:
    assert {known.name for known in KNOWN_DRIVERS} == {*PROGRAM_DRIVERS, "scripted"}
    for name, make in PROGRAM_DRIVERS.items():
        known = known_driver(name)
        assert known is not None
        assert (make().name, make().api) == (known.name, known.api)
        assert set(known.apis) <= set(ALL_APIS)


@pytest.mark.parametrize("name", sorted(PROGRAM_DRIVERS))
def test_the_token_and_the_prompt_are_in_no_argument(name: str, tmp_path: Path) -> None:
    command = PROGRAM_DRIVERS[name]().command(_work(tmp_path, *ALL_APIS, model="m", resume="s-1"))

    assert not any("awm_canary" in word or "Do it." in word for word in command.argv)
    assert "awm_canary" in str(command.environ) + str(command.files)
    assert all(not path.startswith("/") and ".." not in path for path in (*command.files, *command.kept))


def test_opencode_speaks_to_whichever_provider_there_is(tmp_path: Path) -> None:
    opencode = PROGRAM_DRIVERS["opencode"]()
    texts = {api: "".join(opencode.command(_work(tmp_path, api)).files.values()) for api in ("openai", "anthropic")}

    assert "@ai-sdk/openai-compatible" in texts["openai"]
    assert "@ai-sdk/anthropic" in texts["anthropic"]
