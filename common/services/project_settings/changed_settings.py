"""Which settings a change of a project really changed, by their names in the API. Values are never recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from common.machine.text import camel_case
from common.models.project import Project
from common.services.project_settings.variables import readable_variables

_API_NAMES = {"is_restricted": "restricted"}
_OTHER_NAMES = frozenset({"keep_tests", "review", "secret_env_var_changes"})
"""Another name of a setting that is among the others."""


def setting_values(project: Project, names: Iterable[str]) -> dict[str, object]:
    """The present values of these settings, to be compared. names: attributes of `ProjectValues`.

    Secret variables, and plain ones that were sealed with another secret key, are compared as they are sealed: they
    count as changed whenever they are set anew.
    """
    values: dict[str, object] = {}
    for name in names:
        if name == "env_vars":
            variables = readable_variables(project)
            values[name] = project.env_sealed if variables is None else variables
        elif name == "secret_env_vars":
            values[name] = project.secret_env_sealed
        elif name not in _OTHER_NAMES:
            values[name] = getattr(project, name)
    return values


def changed_names(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """The names in the API of the settings whose values differ."""
    return [_API_NAMES.get(name) or camel_case(name) for name in before if before[name] != after[name]]
