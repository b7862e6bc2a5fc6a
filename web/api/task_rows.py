"""Lists of tasks, written from rows straight to bytes: what TaskSchema makes of the same tasks."""

from __future__ import annotations

from typing import Any

import orjson

from common.services.paging import Page
from common.states import Phase, Priority

Row = tuple[Any, ...]
"""As task_lists.COLUMNS says."""

_KEYS = (
    "id", "projectId", "title", "description", "state", "phase", "parked", "round", "priority", "assignedAgentId",
    "branchName", "headSha", "prNumber", "prUrl", "previewUrl", "error", "labels", "createdAt", "rolledBackAt",
)  # fmt: skip
"""The fields of TaskSchema; tests/web/api/test_list_versions.py compares both ways of writing."""
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


def _task(row: Row) -> dict[str, object]:
    # The two columns beyond the keys belong to `parked`.
    task = dict(zip(_KEYS, row, strict=False))
    code, task["parked"] = task["parked"], None
    if code is not None and task["phase"] == Phase.PARKED:
        task["parked"] = {"code": code, "reason": row[-2] or "", "until": row[-1]}
    task["priority"] = _LABELS[row[8]]
    # Stored as JSON, so it is sent as it is stored.
    task["labels"] = orjson.Fragment(row[16])
    return task
