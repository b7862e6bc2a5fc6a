"""Qwen Code, by the Agent Client Protocol.

Its headless mode ends with code 0 after an error of the provider, and takes neither messages nor an interruption.
Settings of the repository are read, and have no effect where these have a word: the run's settings are laid out as the
system's, which win; no hook runs, and of the servers of tools only the platform's is started. Its own question tool,
whose questions nobody would see, is not offered: the model asks with the platform's.
"""

from __future__ import annotations

import json

from workers.runner.drivers.acp import AcpReader, acp_command
from workers.runner.drivers.moved_sessions import qwen_chats, qwen_files
from workers.runner.drivers.program import Command, Work
from workers.runner.drivers.versions import check_program
from workers.runner.platform_client.driver_findings import DriverFinding

TOOL_SECONDS = 3600
DEFAULT_MODEL = "qwen3-coder-plus"
SETTINGS = ".qwen/aiworker-settings.json"
_DENIED = (
    "ask_user_question",
    # There is nobody who approves a plan.
    "enter_plan_mode",
    "exit_plan_mode",
    # A run ends with its turn, and its work is what the workspace has.
    "cron_create",
    "cron_delete",
    "cron_list",
    "loop_wakeup",
    "enter_worktree",
    "exit_worktree",
    # With it, the model is told the platform's tools by name only, and has to look for them.
    "tool_search",
)


class QwenDriver:
    name = "qwen"
    api: str | None = "openai"

    def check(self) -> DriverFinding:
        return check_program(self.name)

    def command(self, work: Work) -> Command:
        model = (work.models and work.models.model) or DEFAULT_MODEL
        argv = [work.executable, "--acp", "--auth-type", "openai", "-m", model, "--approval-mode", "yolo"]
        argv += ["--allowed-mcp-server-names", "aiworker"]
        environ = {
            "NO_COLOR": "1",
            # Else it begins before it has the platform's tools.
            "QWEN_CODE_LEGACY_MCP_BLOCKING": "1",
            "OPENAI_MODEL": model,
            "QWEN_CODE_SYSTEM_SETTINGS_PATH": str(work.home / SETTINGS),
        }
        address = work.models.addresses.get("openai") if work.models else None
        if work.models and address:
            environ |= {"OPENAI_BASE_URL": f"{address}/v1", "OPENAI_API_KEY": work.models.token}
        files = {SETTINGS: _settings(work)}
        if work.resume:
            files |= qwen_files(work.home, work.workspace, work.resume)
        return acp_command(work, argv, environ=environ, files=files, kept=(qwen_chats(work.workspace),))

    def reader(self) -> AcpReader:
        return AcpReader("Qwen Code")


def _settings(work: Work) -> str:
    settings: dict[str, object] = {
        "general": {"enableAutoUpdate": False, "disableAutoUpdate": True},
        "privacy": {"usageStatisticsEnabled": False},
        "telemetry": {"enabled": False},
        "disableAllHooks": True,
        "permissions": {"deny": list(_DENIED)},
        # Each costs a call of the model after the turn, and serves nobody.
        "memory": {"enableManagedAutoMemory": False, "enableManagedAutoDream": False},
        "ui": {"enableFollowupSuggestions": False},
        "mcp": {"allowed": ["aiworker"]},
    }
    if work.tools:
        server = {"command": work.tools.command, "args": list(work.tools.arguments), "timeout": TOOL_SECONDS * 1000}
        settings["mcpServers"] = {"aiworker": {**server, "trust": True}}
    return json.dumps(settings)
