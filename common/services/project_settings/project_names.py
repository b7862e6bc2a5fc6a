"""Names and slugs of projects. A restricted project's name is no secret to be found out by taking it."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from common.errors import Conflict
from common.models.project import Project
from common.services.requests.access import Caller, sees_project
from common.transaction import Transaction
from common.values.names import host_names, namespace, numbered, short_id, slug, slugs_with_host

_HIDDEN_NAME = "\x1f"
"""First character of a restricted project's name key. Names can't contain it, as it is a control character."""


def name_key(project: Project) -> str:
    """What is unique among all projects: the name, but for restricted projects."""
    return f"{_HIDDEN_NAME}{project.id}" if project.is_restricted else project.name


def is_name_taken(tx: Transaction, name: str, by: Caller) -> bool:
    """Whether a project that the caller may see has this name."""
    return tx.find(select(Project).where(Project.name == name, sees_project(by))) is not None


def flush_name(tx: Transaction, project: Project) -> None:
    """Write the row of a project that was there. Conflict (name) if everybody sees another one of this name."""
    name = project.name
    try:
        tx.session.flush()
    except IntegrityError as error:
        raise taken(name) from error


def taken(name: str) -> Conflict:
    """The error for a name that another project has."""
    return Conflict(f"There is already a project named {name}", field="name")


def free_slug(tx: Transaction, project_id: str, name: str, *, is_restricted: bool) -> str:
    """The slug of the name, numbered if it is taken or if another project has one of its hosts in a cluster.

    A restricted project's slug ends with its short id, so that no other project gets a `-2` that would reveal it.
    """
    wanted = f"{slug(name, longest=31)}-{short_id(project_id)}" if is_restricted else slug(name)
    number = 1
    while _is_slug_taken(tx, numbered(wanted, number), project_id):
        number += 1
    return numbered(wanted, number)


def _is_slug_taken(tx: Transaction, wanted: str, project_id: str) -> bool:
    hosts = set(host_names(namespace(wanted, project_id)))
    slugs = {wanted}.union(*map(slugs_with_host, hosts))
    others = tx.all(select(Project).where(Project.slug.in_(sorted(slugs)) | Project.namespace.in_(sorted(hosts))))
    return any(other.slug == wanted or hosts & set(host_names(other.namespace)) for other in others)
