"""The provider of an instance's models: the scripted model server, as if its key had been set in the environment."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tests.doubles.model_server import ModelServer
from tests.e2e.story_tasks import scenes

INSTALLED = Path(__file__).resolve().parents[2] / ".venv" / "drivers"
"""Where .ci/packages installs the CLIs for tests."""

KEYS = {"claude": "ANTHROPIC_API_KEY", "codex": "OPENAI_API_KEY", "gemini": "GEMINI_API_KEY",
        "opencode": "OPENAI_API_KEY", "qwen": "OPENAI_API_KEY"}  # fmt: skip
SCRIPTED_MODELS = {"claude": "claude-sonnet-4-5", "codex": "gpt-5.5", "gemini": "gemini-2.5-pro", "opencode": "m",
                   "qwen": "m"}  # fmt: skip
"""The model whose tools the scripts use; a CLI offers its tools in another form to other models."""

_ADDRESSES = {
    "ANTHROPIC_API_KEY": ("ANTHROPIC_BASE_URL", ""),
    "OPENAI_API_KEY": ("OPENAI_BASE_URL", "/v1"),
    "GEMINI_API_KEY": ("GOOGLE_GEMINI_BASE_URL", ""),
}
_TEST_KEY = "sk-test-"
_OWN = ("ANTHROPIC_", "CLAUDE_", "OPENAI_", "GEMINI_", "GOOGLE_")


def environment_for(driver: str, server: ModelServer) -> dict[str, str]:
    """The variables that make the server the provider of this driver's API, with a key that nobody else knows."""
    key = KEYS[driver]
    address, path = _ADDRESSES[key]
    return {key: f"{_TEST_KEY}{secrets.token_hex(20)}", address: server.url + path}


def environment_for_all(server: ModelServer) -> dict[str, str]:
    """The variables that make the server the provider of every API, with one key that nobody else knows."""
    together = {name: value for driver in KEYS for name, value in environment_for(driver, server).items()}
    key = together[KEYS["claude"]]
    return together | dict.fromkeys(KEYS.values(), key)


def environment_of_tests() -> dict[str, str]:
    """Where the CLIs of the tests are. Nothing is installed by itself: what is missing is left out, or fails."""
    return {"AIWORKER_AGENT_DRIVERS_DIR": str(INSTALLED), "AIWORKER_INSTALL": "0"}


@contextlib.contextmanager
def provider_of_demo(driver: str | None) -> Iterator[Mapping[str, str]]:
    """The environment of the demonstration: a key of the user's own if there is one, else the scripted model."""
    if driver is None or driver == "scripted":
        yield {}
        return
    own = {name: value for name, value in os.environ.items() if name.startswith(_OWN)}
    installed = {"AIWORKER_AGENT_DRIVERS_DIR": str(INSTALLED)}
    if _has_key(own, KEYS[driver]):
        yield own | installed
        return
    print(f"No {KEYS[driver]} here: a scripted model answers instead of a real one.", flush=True)
    with ModelServer(scenes(driver)) as server:
        yield environment_for(driver, server) | installed


def is_scripted(environ: Mapping[str, str]) -> bool:
    """Whether the scripted model is the provider in this environment."""
    return any(value.startswith(_TEST_KEY) for value in environ.values())


def _has_key(names: Iterable[str], key: str) -> bool:
    others = {"ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"} if key.startswith("ANTHROPIC") else set()
    return bool({key, f"{key}_FILE", *others} & set(names))
