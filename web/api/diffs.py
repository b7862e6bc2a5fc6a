"""The diff of a task, and files around it, read from the forge while the caller waits."""

from __future__ import annotations

import functools

from marshmallow import fields

from common.errors import Invalid, ProviderRefused
from common.providers import forge as forges
from common.providers.forge import Forge, forge
from common.services.project_settings.project_resources import location_of
from common.services.tasks.tasks import TaskView
from common.values.delivery.project_location import ProjectLocation
from common.values.repository import Repository
from web.api.timed_reads import read_in_time
from web.http.fields import Schema


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


MOST_FILE_BYTES = 2_000_000
"""A larger file is not shown; it is also the most of a diff."""
MOST_LINES = 2_000
"""Lines of one reply."""


class FileLinesSchema(Schema):
    """A part of a text file. firstLine: the number of the first of the lines. totalLines: of the whole file."""

    path = fields.String()
    commit_sha = fields.String()
    first_line = fields.Integer()
    total_lines = fields.Integer()
    lines = fields.List(fields.String())


_EMPTY: dict[str, object] = {"base_sha": None, "head_sha": None, "files": [], "patch": "", "is_truncated": False}


def read_diff(view: TaskView) -> object:
    """The task's changes, for DiffSchema. ProviderUnavailable if the forge takes longer than 5 s."""
    location, proven = location_of(view.project), view.task.head_sha
    # After delivery the default branch contains the commit, and the diff to it is empty: use the run's base then.
    started_at = next((run.base_sha for run in view.runs if run.base_sha and not run.is_review), None)
    found = read_in_time(
        lambda: _diff(forge(), location, view.task.branch_name, proven, started_at), f"the diff of task {view.task.id}"
    )
    return _EMPTY if found is None else found


def _diff(
    at: Forge, location: ProjectLocation, branch: str, proven: str | None, started_at: str | None
) -> forges.Diff | None:
    repository = location.repository
    try:
        base = at.read_head(repository, location.default_branch)
        head = proven or at.read_head(repository, branch)
    except ProviderRefused as error:
        if error.code == "no_repository":
            return None
        raise
    if base is None or head is None:
        return None
    return _between(repository, base, head, started_at)


# A page that is open on a task asks again after each event, and commits never change. At most 2 MB each.
@functools.lru_cache(maxsize=16)
def _between(repository: Repository, base: str, head: str, started_at: str | None) -> forges.Diff:
    at = forge()
    if started_at is not None and at.contains(repository, ancestor=head, head=base):
        base = started_at
    return at.diff(repository, base=base, head=head)


def read_lines(view: TaskView, path: str, commit_sha: str | None, first_line: int, last_line: int) -> object:
    """Lines of a file, for FileLinesSchema. ProviderUnavailable if the forge takes longer than 5 s.

    Invalid (commitSha) for a commit that belongs neither to the task's branch nor to the default one, and (path) for
    what is no text file there, or larger than MOST_FILE_BYTES. Lines end at line feeds alone, as in a diff.
    """
    location, task = location_of(view.project), view.task
    commit_sha, content = read_in_time(
        lambda: _file(forge(), location, (task.branch_name, task.head_sha), commit_sha, path),
        f"a file of task {task.id}",
    )
    if content is None:
        raise Invalid("path", "There is no such file at this commit")
    if b"\0" in content:
        raise Invalid("path", "Is not a text file")
    lines = content.decode("utf-8", "replace").split("\n")
    if lines[-1] == "":
        lines.pop()
    shown = lines[first_line - 1 : min(last_line, first_line - 1 + MOST_LINES)]
    return {
        "path": path, "commit_sha": commit_sha, "first_line": first_line, "total_lines": len(lines), "lines": shown,
    }  # fmt: skip


def _file(
    at: Forge, location: ProjectLocation, branch: tuple[str, str | None], wanted: str | None, path: str
) -> tuple[str, bytes | None]:
    """The commit and the file's content there. branch: the task's, and its verified commit."""
    repository = location.repository
    try:
        heads = [branch[1], at.read_head(repository, branch[0]), at.read_head(repository, location.default_branch)]
        there = [head for head in dict.fromkeys(heads) if head is not None]
        commit = wanted or next(iter(there), None)
        if commit is None or not any(at.contains(repository, ancestor=commit, head=head) for head in there):
            raise Invalid("commitSha", "Is not a commit of the task's branch or before it")
        return commit, at.read_file(repository, commit=commit, path=path, max_bytes=MOST_FILE_BYTES)
    except ProviderRefused as error:
        if error.code == "too_large":
            raise Invalid("path", f"Has more than {MOST_FILE_BYTES:,} bytes") from error
        if error.code in {"no_commit", "no_repository"}:
            raise Invalid("commitSha", "There is no such commit") from error
        raise
