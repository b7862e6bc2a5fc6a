"""Qwen Code, by the Agent Client Protocol.

Its headless mode ends with code 0 after an error of the provider, and takes neither messages nor an interruption.
"""

from __future__ import annotations

import json

from workers.runner.drivers.acp import AcpReader, acp_command
from workers.runner.drivers.findings import DriverFinding
from workers.runner.drivers.moved_sessions import qwen_files
from workers.runner.drivers.program import Command, Work
from workers.runner.drivers.versions import check_program

DEFAULT_MODEL = "qwen3-coder-plus"


class QwenDriver:
    name = "qwen"
    api: str | None = "openai"

    def check(self) -> DriverFinding:
        return check_program(self.name)

    def command(self, work: Work) -> Command:
        model = (work.models and work.models.model) or DEFAULT_MODEL
        argv = [work.executable, "--acp", "--bare", "--auth-type", "openai", "-m", model, "--approval-mode", "yolo"]
        environ = {"NO_COLOR": "1", "OPENAI_MODEL": model}
        if work.models:
            environ |= {"OPENAI_BASE_URL": f"{work.models.addresses['openai']}/v1", "OPENAI_API_KEY": work.models.token}
        settings = {
            "general": {"enableAutoUpdate": False, "disableAutoUpdate": True},
            "privacy": {"usageStatisticsEnabled": False},
            "telemetry": {"enabled": False},
        }
        files = {".qwen/settings.json": json.dumps(settings)}
        if work.resume:
            files |= qwen_files(work.home, work.workspace, work.resume)
        return acp_command(work, argv, environ=environ, files=files, kept=(".qwen/projects/*/chats",))

    def reader(self) -> AcpReader:
        return AcpReader("Qwen Code")
