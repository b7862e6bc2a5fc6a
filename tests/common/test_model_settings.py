"""Model providers and the gateway's address, as the environment names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import Misconfigured
from common.settings.environment import Environment
from common.settings.models import ModelSettings, read_models

KEY = "sk-secret"


def read(**environ: str) -> ModelSettings:
    return read_models(Environment(environ), internal_url="http://127.0.0.1:3000")


def test_without_variables_there_is_no_provider() -> None:
    assert read() == ModelSettings("http://127.0.0.1:3000", ())


@pytest.mark.parametrize(
    ("environ", "api", "base_url", "login"),
    [
        ({"ANTHROPIC_API_KEY": KEY}, "anthropic", "https://api.anthropic.com", "key"),
        ({"CLAUDE_CODE_OAUTH_TOKEN": KEY}, "anthropic", "https://api.anthropic.com", "subscription"),
        ({"ANTHROPIC_AUTH_TOKEN": KEY, "ANTHROPIC_BASE_URL": "http://p/"}, "anthropic", "http://p", "subscription"),
        ({"OPENAI_API_KEY": KEY}, "openai", "https://api.openai.com/v1", "key"),
        ({"GEMINI_API_KEY": KEY}, "gemini", "https://generativelanguage.googleapis.com", "key"),
        ({"GOOGLE_API_KEY": KEY, "GEMINI_BASE_URL": "http://g:1"}, "gemini", "http://g:1", "key"),
    ],
)
def test_a_key_is_a_provider(environ: dict[str, str], api: str, base_url: str, login: str) -> None:
    (found,) = read(**environ).providers

    assert (found.api, found.base_url, found.login, found.key) == (api, base_url, login, KEY)
    assert KEY not in repr(found)


def test_a_key_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")

    (found,) = read(OPENAI_API_KEY_FILE=str(file)).providers

    assert found.key == KEY


@pytest.mark.parametrize(
    "name", ["ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "AIWORKER_GATEWAY_URL"]
)
def test_a_wrong_address_is_named_without_being_shown(name: str) -> None:
    for url in ("ftp://x", "http://me:secret@x", "http://x?key=secret"):
        with pytest.raises(Misconfigured, match=f"^{name} must be") as raised:
            read(**{name: url})

        assert "secret" not in str(raised.value)


def test_each_provider_has_the_model_that_takes_over_from_others() -> None:
    keys = {"ANTHROPIC_API_KEY": KEY, "OPENAI_API_KEY": KEY, "GEMINI_API_KEY": KEY}

    found = read(AIWORKER_FALLBACKS="openai=gpt-mini, anthropic=haiku", **keys).providers

    assert {one.api: one.fallback_model for one in found} == {
        "anthropic": "haiku", "openai": "gpt-mini", "gemini": None,
    }  # fmt: skip
    for wrong in ("haiku", "claude=haiku", "openai="):
        with pytest.raises(Misconfigured, match=r"^AIWORKER_FALLBACKS: "):
            read(AIWORKER_FALLBACKS=wrong)


def test_tasks_wait_for_limits_unless_it_is_switched_off() -> None:
    assert read().parks_on_limits
    assert not read(AIWORKER_PARK_ON_LIMITS="0").parks_on_limits
    with pytest.raises(Misconfigured, match="AIWORKER_PARK_ON_LIMITS=maybe is not 0 or 1"):
        read(AIWORKER_PARK_ON_LIMITS="maybe")
