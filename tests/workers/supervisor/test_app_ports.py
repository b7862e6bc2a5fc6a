"""The ports of apps while the directory of the apps can't be written."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest

from common.machine.ports import PortRange
from common.values.app import App, Space
from tests.ports import free_port
from workers.supervisor.apps import NoPort, RunningApp
from workers.supervisor.ports import Ports
from workers.supervisor.toolbox import Tools

APP = App(Space("shop-0000beef", "project-1"), "production")


class _Tools:
    def __init__(self, ports: PortRange) -> None:
        self.ports = Ports(ports)


def test_an_app_that_can_not_be_stored_keeps_no_port(tmp_path: Path) -> None:
    port = free_port()
    tools = cast(Tools, _Tools(PortRange(port, port)))
    directory = tmp_path / "shop" / "production"
    # A link to nowhere: nothing can be written there, as on a full disk.
    directory.parent.symlink_to(tmp_path / "nowhere")

    async def opened() -> None:
        for _ in range(2):
            app = RunningApp(APP.space, APP.name, directory, tools, has_gate=False)
            with pytest.raises(NoPort, match="can't be stored"):
                await app.open("127.0.0.1")
            with pytest.raises(OSError):
                await asyncio.open_connection("127.0.0.1", port)
        directory.parent.unlink()
        app = RunningApp(APP.space, APP.name, directory, tools, has_gate=False)
        await app.open("127.0.0.1")
        assert app.port == port
        await app.close()

    asyncio.run(opened())
