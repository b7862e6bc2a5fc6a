"""Looks for stored values that can't be opened with the present secret key. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select

from common.errors import AnotherKey
from common.models import Deployment, ModelProvider, Project
from common.models.spend import PlatformSetting
from common.secrets.sealing import unseal
from common.transaction import Snapshot, snapshot


def unreadable_values() -> tuple[list[str], int]:
    """What was sealed with another key, named for people, and of how many sealed values.

    Looked at are those that the platform needs from now on: not the ones of runs that ended, nor of versions that were
    replaced.
    """
    with snapshot() as read:
        found = list(_sealed_values(read))
    return list(dict.fromkeys(name for name, sealed in found if not _is_readable(sealed))), len(found)


def is_another_key() -> bool:
    """Whether one value of each kind can't all be opened. One query, for each start."""
    columns = (ModelProvider.key_sealed, Project.env_sealed, Project.secret_env_sealed)
    some = [select(column).where(column.is_not(None)).limit(1).scalar_subquery() for column in columns]
    serving = select(Deployment.spec_sealed).where(Deployment.live_key.is_not(None)).limit(1).scalar_subquery()
    with snapshot() as read:
        found = read.session.execute(select(*some, serving)).one()
    return not all(_is_readable(sealed) for sealed in found if sealed)


def _sealed_values(read: Snapshot) -> Iterator[tuple[str, str]]:
    """Each with the name of what it is."""
    providers = select(ModelProvider.name, ModelProvider.key_sealed).order_by(ModelProvider.name)
    projects = select(Project.name, Project.env_sealed, Project.secret_env_sealed).order_by(Project.name)
    versions = (
        select(Deployment.app_name, Deployment.spec_sealed)
        .where(Deployment.live_key.is_not(None))
        .order_by(Deployment.app_name)
    )
    for name, sealed in read.session.execute(providers):
        if sealed:
            yield f"the key of the model provider {name}", sealed
    for name, *both in read.session.execute(projects):
        yield from ((f"the variables of the project {name}", sealed) for sealed in both if sealed)
    for setting in read.session.scalars(select(PlatformSetting).order_by(PlatformSetting.name)):
        if setting.value.get("secretSealed"):
            yield f"the secret of the {setting.name}", str(setting.value["secretSealed"])
    for name, sealed in read.session.execute(versions):
        yield f"the version that serves as {name}", sealed


def _is_readable(sealed: str) -> bool:
    try:
        unseal(sealed)
    except AnotherKey:
        return False
    return True
