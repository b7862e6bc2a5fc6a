"""Tasks, written from rows straight to bytes: what TaskSchema and TaskDetailsSchema make of the same tasks."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from common.services.requests.paging import Page
from common.services.tasks.task_details import TaskDetails
from common.services.tasks.task_lists import Row
from common.values.runs.parking import Parked
from common.values.states import Phase, Priority, TaskState

_KEYS = (
    "id", "projectId", "title", "description", "state", "phase", "parked", "round", "priority", "assignedAgentId",
    "branchName", "headSha", "prNumber", "prUrl", "previewUrl", "error", "labels", "createdAt", "rolledBackAt",
)  # fmt: skip
"""The fields of TaskSchema; tests/web/api/test_list_versions.py compares both ways of writing."""
_OWN_KEYS = (
    "notes", "requiredCapabilities", "driver", "model", "limits", "caps", "approvedSha", "approvedBy",
    "mayChangeTestSetup", "laterPush", "heldBy", "createdBy", "updatedAt",
)  # fmt: skip
"""The fields that WrittenTaskSchema adds, in its order."""
_AWAITS_FILES = (TaskState.BACKLOG, Parked.FILES)
_LABELS = {int(priority): priority.label for priority in Priority}


def write_tasks(page: Page[Row]) -> bytes:
    """The reply of `GET /tasks`, from rows as task_lists.COLUMNS has them."""
    return orjson.dumps(
        {
            "tasks": [_task(row) for row in page.items],
            "total": page.total,
            "limit": page.limit,
            "offset": page.offset,
            "nextCursor": page.next_cursor,
        }
    )


def write_details(found: TaskDetails, parts: Mapping[str, object]) -> bytes:
    """The reply of `GET /tasks/:id`. parts: what belongs to the task, as its schema writes it."""
    task = _task(found.columns)
    task.update(zip(_OWN_KEYS, found.own, strict=True))
    for key, place in (("requiredCapabilities", 1), ("limits", 4), ("caps", 5)):
        task[key] = orjson.Fragment(found.own[place])
    project_id, name, url = found.project
    task.update(parts)
    task["project"] = {"id": project_id, "name": name, "giteaRepoUrl": url}
    return orjson.dumps({"task": task})


def _task(row: Row) -> dict[str, object]:
    # The two columns beyond the keys belong to `parked`.
    task = dict(zip(_KEYS, row, strict=False))
    code, task["parked"] = task["parked"], None
    if code is not None and (task["phase"] == Phase.PARKED or (task["state"], code) == _AWAITS_FILES):
        task["parked"] = {"code": code, "reason": row[-2] or "", "until": row[-1]}
    task["priority"] = _LABELS[row[8]]
    # Stored as JSON, so it is sent as it is stored.
    task["labels"] = orjson.Fragment(row[16])
    return task
