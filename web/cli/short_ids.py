"""Ids as people type them: the last 8 digits, as in branch names, stand for the whole id."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from web.cli.api_error import ApiError
from web.cli.client import Api
from web.cli.tables import SHORTEST_ID_DIGITS, short_id
from web.cli.terminal import JsonObject, cell

MOST = 100_000
MOST_NAMED = 5
_WHOLE = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_SHORT = re.compile(rf"[0-9a-f]{{{SHORTEST_ID_DIGITS},12}}")
_BRANCH = re.compile(r"task-([0-9a-f]{8})(?:-.*)?")


@dataclass(frozen=True)
class IdKind:
    """What an id is of. path, plural: of its list in the API. title: the field that people know it by."""

    path: str
    plural: str
    word: str
    title: str
    listing: str


TASKS = IdKind("/tasks", "tasks", "task", "title", "aiworker task list")
GROUPS = IdKind("/task-groups", "taskGroups", "group", "stagingBranch", "aiworker group list")
DEPLOYMENTS = IdKind("/deployments", "deployments", "deployment", "environment", "aiworker deployments")
TOKENS = IdKind("/tokens", "tokens", "token", "name", "aiworker token list")


def whole_id(api: Api, sort: IdKind, given: str) -> str:
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
    found = only_one(given, sort, api.list_all(sort.path, sort.plural, most=MOST), end=end)
    if found is None:
        raise ApiError(f"there is no {sort.word} {given}; see: {sort.listing}")
    return str(found["id"])


def only_one(given: str, sort: IdKind, rows: Iterable[JsonObject], *, end: str) -> JsonObject | None:
    """The row whose id ends with these digits, in small letters; None if there is none. Raises ApiError for several.

    given: what was typed, for the error's message.
    """
    found = [row for row in rows if row["id"].endswith(end)]
    if len(found) <= 1:
        return found[0] if found else None
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
        if not open_ones:
            raise ApiError("no question of the task is open")
        named = ", ".join(str(one["id"]) for one in open_ones)
        raise ApiError(f"{len(open_ones)} questions are open; name one with --question: {named}")
    is_long = len(given) >= SHORTEST_ID_DIGITS
    found = [one for one in questions if given == one["id"] or (is_long and one["id"].endswith(given))]
    if len(found) != 1:
        known = ", ".join(short_id(one["id"]) for one in open_ones) or "none"
        raise ApiError(f"{given} names {len(found) or 'no'} questions of the task; open ones: {known}")
    return found[0]
