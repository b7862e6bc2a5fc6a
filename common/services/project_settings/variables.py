"""A project's variables: decrypted for the programs that get them, and for masking the output of these programs.

Approved code is deployed with all variables. An agent's branch is not reviewed, so its checks and previews get the
plain variables and only those secrets that the project selects for them. A group's tests run approved commits, but get
the same variables as the checks of its tasks, so that the same command gives the same result.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from sqlalchemy import select

from common.errors import AnotherKey, Invalid
from common.models.delivery import Deployment
from common.models.project import Project
from common.models.run import Run
from common.models.spend import ModelProvider
from common.secrets.masking import Mask, without_plain_words
from common.secrets.sealing import unseal
from common.transaction import Snapshot, Transaction
from common.values.delivery.stored_spec import read_spec
from common.values.states import Environment
from common.values.variable_set import Variables

MOST_VARIABLES = 200
LONGEST_VALUE_BYTES = 32 * 1024

R = TypeVar("R")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_RESERVED = frozenset({"BASH_ENV", "HOME", "HOST", "HOSTNAME", "IFS", "PATH", "PORT", "PWD", "SHELL", "TMPDIR", "USER"})
_RESERVED_PREFIXES = ("AIWORKER_", "DYLD_", "KUBERNETES_", "LD_")


def variable_fault(name: str, value: object) -> str | None:
    """Why a project may not have this variable; None if it may. Names that the platform sets itself are refused."""
    if not _NAME.fullmatch(name):
        return "Must be a name of letters, digits and underscores"
    if name.upper() in _RESERVED or name.upper().startswith(_RESERVED_PREFIXES):
        return "Is set by the platform"
    if not isinstance(value, str):
        return "Must be a text"
    if "\0" in value:
        return "Must not contain NUL"
    if len(value.encode("utf-8", "replace")) > LONGEST_VALUE_BYTES:
        return f"Must have at most {LONGEST_VALUE_BYTES} bytes"
    return None


def variables_of(project: Project) -> dict[str, str]:
    """The plain variables (envVars)."""
    return dict(unseal(project.env_sealed)) if project.env_sealed else {}


def readable_variables(project: Project) -> dict[str, str] | None:
    """The plain variables; None if they were sealed with another secret key."""
    try:
        return variables_of(project)
    except AnotherKey:
        return None


def secrets_of(project: Project) -> dict[str, str]:
    """The secret variables (secretEnvVars)."""
    return dict(unseal(project.secret_env_sealed)) if project.secret_env_sealed else {}


def changed_secrets(project: Project, changes: Mapping[str, str | None]) -> dict[str, str]:
    """The secret variables with these changes; None removes one. Invalid if that is not there, or they are too many."""
    secrets = secrets_of(project)
    for name, value in changes.items():
        if value is not None:
            secrets[name] = value
        elif secrets.pop(name, None) is None:
            raise Invalid(f"secretEnvVarChanges.{name}", "Is not among secretEnvVars")
    if len(secrets) > MOST_VARIABLES:
        raise Invalid("secretEnvVarChanges", f"At most {MOST_VARIABLES} variables")
    return secrets


def environment_of_checks(project: Project) -> Variables:
    """All variables of a check: of an agent's branch, or of a task group's."""
    secrets = _named(project, project.secrets_in_checks)
    return Variables({**variables_of(project), **secrets}, tuple(secrets))


def environment_of(project: Project, environment: Environment) -> Variables:
    """All variables of the project's apps in this environment."""
    names = project.secrets_in_previews if environment is Environment.PREVIEW else project.secret_env_names
    return Variables({**variables_of(project), **_named(project, names)}, tuple(project.secret_env_names))


def _named(project: Project, names: list[str]) -> dict[str, str]:
    return {name: value for name, value in secrets_of(project).items() if name in set(names)}


def mask_of_project(at: Transaction | Snapshot, project_id: str | None) -> Mask:
    """A mask for the project's variables. project_id: None: only keys of a known format are masked."""
    return _mask_of(at, project_id)


def mask_of_run(at: Transaction | Snapshot, run: Run) -> Mask:
    """A mask for the project's variables, the keys of model providers and, until the run ends, its credentials, which
    are not valid after that."""
    keys = select(ModelProvider.key_sealed).where(ModelProvider.key_sealed.is_not(None)).order_by(ModelProvider.id)
    return _mask_of(at, run.project_id, credentials=run.secrets_sealed, keys=tuple(at.session.scalars(keys)))


def mask_of_deployment(at: Transaction | Snapshot, deployment: Deployment) -> Mask:
    """A mask for the project's present variables and for those that the deployment was given."""
    return _mask_of(at, deployment.project_id, spec=deployment.spec_sealed)


def mask_or_sentence(mask_of: Callable[[Transaction, R], Mask], tx: Transaction, row: R) -> Callable[[str], str]:
    """`mask_of(tx, row)`, for reasons that are stored also if the values were sealed with another secret key.

    Then each of them becomes the sentence that says so.
    """
    try:
        return mask_of(tx, row)
    except AnotherKey as error:
        sentence = str(error)
        return lambda _reason: sentence


def _mask_of(
    at: Transaction | Snapshot,
    project_id: str | None,
    *,
    credentials: str | None = None,
    spec: str | None = None,
    keys: tuple[str | None, ...] = (),
) -> Mask:
    project = at.session.get(Project, project_id) if project_id else None
    plain, secret = (project.env_sealed, project.secret_env_sealed) if project else (None, None)
    return _cached_mask(plain, secret, credentials, spec, keys)


@functools.lru_cache(maxsize=256)
def _cached_mask(
    plain: str | None,
    secret: str | None,
    credentials: str | None,
    spec: str | None,
    keys: tuple[str | None, ...],
) -> Mask:
    """A mask from sealed values, cached: decrypting and building one takes 100 times as long as masking a line."""
    variables, secrets = _opened(plain), _opened(secret)
    tokens = [value for name, value in _opened(credentials).items() if name != "username"]
    deployed = read_spec(unseal(spec)).variables if spec else Variables()
    given: Mapping[str, str] = deployed.values
    tokens += [given[name] for name in deployed.secret_names if name in given]
    tokens += [text for key in keys for text in _texts_of(key)]
    values = [*secrets.values(), *tokens, *without_plain_words(variables), *without_plain_words(given)]
    return Mask(values, {**given, **variables, **secrets})


def _texts_of(key: str | None) -> list[str]:
    """The texts that a provider's key_sealed holds: a text, or an object of texts."""
    held = unseal(key) if key else None
    texts = held.values() if isinstance(held, dict) else [held]
    return [text for text in texts if isinstance(text, str)]


def _opened(sealed: str | None) -> dict[str, str]:
    return dict(unseal(sealed)) if sealed else {}
