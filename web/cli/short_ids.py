"""Ids as people type them: the last 8 digits, as in branch names, stand for the whole id."""

from __future__ import annotations

import re
from dataclasses import dataclass

from web.cli.api_error import ApiError
from web.cli.client import Api
from web.cli.tables import short_id
from web.cli.terminal import JsonObject, cell

SHORTEST = 4
MOST = 100_000
MOST_NAMED = 5
_WHOLE = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_SHORT = re.compile(rf"[0-9a-f]{{{SHORTEST},12}}")
_BRANCH = re.compile(r"task-([0-9a-f]{8})(?:-.*)?")


@dataclass(frozen=True)
class Sort:
    """What an id is of. path, plural: of its list in the API. title: the field that people know it by."""

    path: str
    plural: str
    word: str
    title: str
    listing: str


TASKS = Sort("/tasks", "tasks", "task", "title", "aiworker task list")
GROUPS = Sort("/task-groups", "taskGroups", "group", "stagingBranch", "aiworker group list")
DEPLOYMENTS = Sort("/deployments", "deployments", "deployment", "environment", "aiworker deployments")


def whole_id(api: Api, sort: Sort, given: str) -> str:
    """The whole id for a whole or a short one, or for the name of a task's branch.

    Raises ApiError if nothing or more than one thing ends with these digits.
    """
    wanted = given.strip().lower()
    if _WHOLE.fullmatch(wanted):
        return wanted
    branch = _BRANCH.fullmatch(wanted) if sort is TASKS else None
    end = branch[1] if branch else wanted
    if not _SHORT.fullmatch(end):
        raise ApiError(f"{given} is not the id of a {sort.word}: give its last 8 digits; see: {sort.listing}")
    return str(
        _only(given, sort, [row for row in api.every(sort.path, sort.plural, most=MOST) if row["id"].endswith(end)])[
            "id"
        ]
    )


def _only(given: str, sort: Sort, found: list[JsonObject]) -> JsonObject:
    if len(found) == 1:
        return found[0]
    if not found:
        raise ApiError(f"there is no {sort.word} {given}; see: {sort.listing}")
    # As many digits as tell them apart, and at least those of a short id.
    named = "; ".join(f"{row['id'][-12:]} {' '.join(cell(row[sort.title]).split())}" for row in found[:MOST_NAMED])
    more = f"; and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    raise ApiError(f"{given} is ambiguous, say more of its digits: {named}{more}")


def question_id(questions: list[JsonObject], given: str | None) -> JsonObject:
    """The question with this whole or short id; without one, the only open one. Raises ApiError."""
    open_ones = [one for one in questions if one["status"] == "pending"]
    if given is None:
        if len(open_ones) == 1:
            return open_ones[0]
        named = ", ".join(str(one["id"]) for one in open_ones)
        raise ApiError(f"{len(open_ones)} questions are open{f'; name one with --question: {named}' if named else ''}")
    found = [one for one in questions if given == one["id"] or (len(given) >= SHORTEST and one["id"].endswith(given))]
    if len(found) != 1:
        known = ", ".join(short_id(one["id"]) for one in open_ones) or "none"
        raise ApiError(f"{given} names {len(found)} questions of the task; open ones: {known}")
    return found[0]
