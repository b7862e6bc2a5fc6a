"""OpenCode, by the Agent Client Protocol; its headless mode tells a call only when it is over and takes no messages.

It speaks to the provider by an OpenAI-compatible API (Chat Completions) or by Anthropic's, whichever has an address.
"""

from __future__ import annotations

import json

from workers.runner.drivers.acp import AcpReader, acp_command
from workers.runner.drivers.program import Command, ModelAccess, Work
from workers.runner.drivers.versions import check_program
from workers.runner.platform_client.driver_findings import DriverFinding

TOOL_SECONDS = 3600
DEFAULT_MODELS = {"openai": "gpt-5.5", "anthropic": "claude-sonnet-4-5"}
_PACKAGES = {"openai": "@ai-sdk/openai-compatible", "anthropic": "@ai-sdk/anthropic"}
_DATABASE = ".local/share/opencode/opencode.db"
_PLUGINS = (".opencode/plugin", ".opencode/plugins", ".opencode/tool", ".opencode/tools")
"""OpenCode loads the first two in spite of `--pure` and OPENCODE_DISABLE_PROJECT_CONFIG."""
_OFF = ("AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD", "DEFAULT_PLUGINS", "PROJECT_CONFIG", "CLAUDE_CODE", "SHARE")


class OpenCodeDriver:
    name = "opencode"
    api: str | None = "openai"

    def check(self) -> DriverFinding:
        return check_program(self.name)

    def command(self, work: Work) -> Command:
        path = work.home / ".config" / "aiworker-opencode.json"
        environ = {f"OPENCODE_DISABLE_{name}": "1" for name in _OFF}
        environ |= {"OPENCODE_CONFIG": str(path), "OPENCODE_PURE": "1", "NO_COLOR": "1"}
        return acp_command(
            work,
            [work.executable, "acp", "--pure"],
            environ=environ,
            files={str(path.relative_to(work.home)): json.dumps(_config(work.models))},
            kept=(f"{_DATABASE}*", ".local/share/opencode/storage"),
            hidden=_PLUGINS,
            opencode_database=work.home / _DATABASE,
        )

    def reader(self) -> AcpReader:
        return AcpReader("OpenCode")


def _config(models: ModelAccess | None) -> dict[str, object]:
    config: dict[str, object] = {
        "autoupdate": False,
        "share": "disabled",
        "plugin": [],
        "permission": {"*": "allow"},
        "experimental": {"mcp_timeout": TOOL_SECONDS * 1000},
    }
    api = next((one for one in ("openai", "anthropic") if models and one in models.addresses), None)
    if models is None or api is None:
        return config
    model = models.model or DEFAULT_MODELS[api]
    options = {"baseURL": f"{models.addresses[api]}/v1", "apiKey": models.token}
    provider = {"npm": _PACKAGES[api], "name": "AiWorker", "options": options, "models": {model: {"name": model}}}
    chosen = f"aiworker/{model}"
    return {
        **config,
        "model": chosen,
        "small_model": chosen,
        "enabled_providers": ["aiworker"],
        "provider": {"aiworker": provider},
    }
