"""What a task changed, looked up at the forge while the caller waits."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from common.errors import ProviderRefused
from common.providers import forge as forges
from common.providers.forge import Forge, forge
from common.services.projects.places import place_of
from common.services.tasks.tasks import TaskView
from common.values.place import Place
from web.http.fields import Schema
from web.http.provider_read import look


class ChangedFile(Schema):
    """additions and deletions are null for a binary file, oldPath but after a rename."""

    path = fields.String()
    status = fields.String(metadata={"enum": ["added", "modified", "deleted", "renamed"]})
    additions = fields.Integer(allow_none=True)
    deletions = fields.Integer(allow_none=True)
    old_path = fields.String(allow_none=True)


class Diff(Schema):
    """From where the branch left the default branch. The SHAs are null where nothing has been pushed yet."""

    base_sha = fields.String(allow_none=True)
    head_sha = fields.String(allow_none=True)
    files = fields.List(fields.Nested(ChangedFile))
    patch = fields.String()
    truncated = fields.Boolean(attribute="is_truncated")


_NOTHING: dict[str, Any] = {"base_sha": None, "head_sha": None, "files": [], "patch": "", "is_truncated": False}


def read_diff(view: TaskView) -> dict[str, Any]:
    """What the task changes, as Diff sends it. ProviderUnavailable where the forge takes longer than 5 s."""
    place, proven = place_of(view.project), view.task.head_sha
    # Once delivered, the default branch holds the commit, and nothing would differ from it: then from the run's base.
    started_at = next((run.base_sha for run in view.runs if run.base_sha), None)
    found = look(
        lambda: _diff(forge(), place, view.task.branch_name, proven, started_at), f"the diff of task {view.task.id}"
    )
    return _NOTHING if found is None else vars(found)


def _diff(at: Forge, place: Place, branch: str, proven: str | None, started_at: str | None) -> forges.Diff | None:
    repository = place.repository
    try:
        base = at.read_head(repository, place.default_branch)
        head = proven or at.read_head(repository, branch)
    except ProviderRefused as error:
        if error.code == "no_repository":
            return None
        raise
    if base is None or head is None:
        return None
    if started_at is not None and at.contains(repository, ancestor=head, head=base):
        base = started_at
    return at.diff(repository, base=base, head=head)
