"""The diff of a task, read from the forge while the caller waits."""

from __future__ import annotations

from marshmallow import fields

from common.errors import ProviderRefused
from common.providers import forge as forges
from common.providers.forge import Forge, forge
from common.services.projects.places import place_of
from common.services.tasks.tasks import TaskView
from common.values.place import Place
from web.http.fields import Schema
from web.http.provider_read import look


class ChangedFileSchema(Schema):
    """additions and deletions are null for a binary file; oldPath is null unless the file was renamed."""

    path = fields.String()
    status = fields.String(metadata={"enum": ["added", "modified", "deleted", "renamed"]})
    additions = fields.Integer(allow_none=True)
    deletions = fields.Integer(allow_none=True)
    old_path = fields.String(allow_none=True)


class DiffSchema(Schema):
    """The changes since the branch left the default branch. The SHAs are null if nothing has been pushed yet."""

    base_sha = fields.String(allow_none=True)
    head_sha = fields.String(allow_none=True)
    files = fields.List(fields.Nested(ChangedFileSchema))
    patch = fields.String()
    truncated = fields.Boolean(attribute="is_truncated")


_EMPTY: dict[str, object] = {"base_sha": None, "head_sha": None, "files": [], "patch": "", "is_truncated": False}


def read_diff(view: TaskView) -> object:
    """The task's changes, for DiffSchema. ProviderUnavailable if the forge takes longer than 5 s."""
    place, proven = place_of(view.project), view.task.head_sha
    # After delivery the default branch contains the commit, and the diff to it is empty: use the run's base then.
    started_at = next((run.base_sha for run in view.runs if run.base_sha), None)
    found = look(
        lambda: _diff(forge(), place, view.task.branch_name, proven, started_at), f"the diff of task {view.task.id}"
    )
    return _EMPTY if found is None else found


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
