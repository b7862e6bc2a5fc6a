"""A project's variables: opened for what runs, and for masking whatever comes back from it.

Code that a person has approved is deployed with all of them. An agent's branch is not reviewed: its checks and its
previews are given the plain ones and those secret ones alone that the project names for it. A task group's tests run
approved commits with exactly what the tasks' own checks had, so that the same command says the same of the same code.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

from common.masking import Mask, without_plain_words
from common.models.delivery import Deployment
from common.models.project import Project
from common.models.run import Run
from common.sealing import unseal
from common.states import Environment
from common.transaction import Snapshot, Transaction
from common.values.stored_spec import read_spec
from common.values.variable_set import Variables


def variables_of(project: Project) -> dict[str, str]:
    """The plain variables (envVars)."""
    return dict(unseal(project.env_sealed)) if project.env_sealed else {}


def _secrets_of(project: Project) -> dict[str, str]:
    return dict(unseal(project.secret_env_sealed)) if project.secret_env_sealed else {}


def environment_of_checks(project: Project) -> Variables:
    """All variables of a check: of an agent's branch, or of a task group's."""
    secrets = _named(project, project.secrets_in_checks)
    return Variables({**variables_of(project), **secrets}, tuple(secrets))


def environment_of(project: Project, environment: Environment) -> Variables:
    """All variables of what runs there."""
    names = project.secrets_in_previews if environment is Environment.PREVIEW else project.secret_env_names
    return Variables({**variables_of(project), **_named(project, names)}, tuple(project.secret_env_names))


def _named(project: Project, names: list[str]) -> dict[str, str]:
    return {name: value for name, value in _secrets_of(project).items() if name in set(names)}


def mask_of_project(at: Transaction | Snapshot, project_id: str | None) -> Mask:
    """Masks the project's variables. project_id None: nobody's, keys of a known format alone."""
    return _mask_of(at, project_id)


def mask_of_run(at: Transaction | Snapshot, run: Run) -> Mask:
    """Masks the run's own credentials, too, as long as it lives; afterwards they are good for nothing."""
    return _mask_of(at, run.project_id, credentials=run.secrets_sealed)


def mask_of_deployment(at: Transaction | Snapshot, deployment: Deployment) -> Mask:
    """Masks what the version was given, too, whatever the project's variables are by now."""
    return _mask_of(at, deployment.project_id, spec=deployment.spec_sealed)


def _mask_of(
    at: Transaction | Snapshot, project_id: str | None, *, credentials: str | None = None, spec: str | None = None
) -> Mask:
    project = at.session.get(Project, project_id) if project_id else None
    plain, secret = (project.env_sealed, project.secret_env_sealed) if project else (None, None)
    return _made(plain, secret, credentials, spec)


@functools.lru_cache(maxsize=256)
def _made(plain: str | None, secret: str | None, credentials: str | None, spec: str | None) -> Mask:
    """From what is sealed: to open it and to make a mask takes a hundred times as long as to mask a line."""
    variables, secrets = _opened(plain), _opened(secret)
    tokens = [value for name, value in _opened(credentials).items() if name != "username"]
    told = read_spec(unseal(spec)).variables if spec else Variables()
    given: Mapping[str, str] = told.values
    tokens += [given[name] for name in told.secret_names if name in given]
    values = [*secrets.values(), *tokens, *without_plain_words(variables), *without_plain_words(given)]
    return Mask(values, {**given, **variables, **secrets})


def _opened(sealed: str | None) -> dict[str, str]:
    return dict(unseal(sealed)) if sealed else {}
