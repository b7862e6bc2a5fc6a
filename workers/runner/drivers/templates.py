"""Commands of the user's own: read from a setting, looked for, and given the model's address in the usual variables."""

from __future__ import annotations

import os
import shlex
import shutil

from common.errors import Misconfigured
from common.settings.environment import Environment
from workers.runner.drivers.program import ModelAccess
from workers.runner.platform_client.driver_findings import DriverFinding


def template_of(setting: str) -> tuple[str, ...]:
    """The words of the command in a setting, by the rules of the shell; empty if it is not set or not readable."""
    try:
        return tuple(shlex.split(Environment(os.environ).string(setting, default="")))
    except (Misconfigured, ValueError):
        return ()


def check_template(name: str, setting: str) -> DriverFinding:
    """Whether a driver's command is set and its program is there. It is not started. Never raises."""
    try:
        is_set = Environment(os.environ).found(setting) is not None
    except Misconfigured as error:
        return DriverFinding(name, False, str(error))
    words = template_of(setting)
    if not words:
        wrong = "is not readable: quotes are missing" if is_set else "is not set"
        return DriverFinding(name, False, f"{setting} {wrong}; set it to the command that does the work")
    found = shutil.which(words[0])
    if found is None:
        return DriverFinding(
            name, False, f"{setting}: there is no program {words[0]}; install it or give its full path"
        )
    return DriverFinding(name, True, f"{setting} starts {found}", executable=found)


def model_variables(models: ModelAccess | None) -> dict[str, str]:
    """The variables in which programs usually look for a model's address and key."""
    if models is None:
        return {}
    variables: dict[str, str] = {}
    addresses = models.addresses
    if "anthropic" in addresses:
        variables |= {"ANTHROPIC_BASE_URL": addresses["anthropic"], "ANTHROPIC_API_KEY": models.token}
    if "openai" in addresses:
        variables |= {
            "OPENAI_BASE_URL": f"{addresses['openai']}/v1",
            "OPENAI_API_BASE": f"{addresses['openai']}/v1",
            "OPENAI_API_KEY": models.token,
        }
    if "gemini" in addresses:
        variables |= {"GOOGLE_GEMINI_BASE_URL": addresses["gemini"], "GEMINI_API_KEY": models.token}
    if models.model:
        variables["AIWORKER_MODEL"] = models.model
    return variables
