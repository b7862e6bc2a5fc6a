"""Patches as clients write them: JSON merge patches, and strategic ones, which merge lists by their items' keys.

Of the directives of strategic patches this knows those that kubectl sends: `$patch`, `$retainKeys`, and the order of a
list, which changes nothing here.
"""

from __future__ import annotations

import copy
from typing import Any

from tests.doubles.kubernetes.apply import MERGE_KEYS

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


def merged(current: Any, patch: Any, *, is_strategic: bool, field: str = "") -> Any:
    """What `current` becomes, which is left as it is. A null removes a field."""
    if isinstance(patch, list):
        return _merged_list(current, patch, field) if is_strategic else copy.deepcopy(patch)
    if not isinstance(patch, dict):
        return patch
    if is_strategic and patch.get("$patch") == "replace":
        return {name: value for name, value in patch.items() if name != "$patch"}
    after = copy.deepcopy(current) if isinstance(current, dict) else {}
    if is_strategic and "$retainKeys" in patch:
        after = {name: value for name, value in after.items() if name in patch["$retainKeys"]}
    for name, value in patch.items():
        if is_strategic and name.startswith("$"):
            _require_known(name)
        elif value is None:
            after.pop(name, None)
        else:
            after[name] = merged(after.get(name), value, is_strategic=is_strategic, field=name)
    return after


def _merged_list(current: Any, patch: list[Any], field: str) -> list[Any]:
    given = [one for one in patch if one != {"$patch": "replace"}]
    key = next(
        (key for key in MERGE_KEYS.get(field, ()) if all(isinstance(one, dict) and key in one for one in given)), None
    )
    if key is None or not isinstance(current, list) or len(given) < len(patch):
        return copy.deepcopy(given)
    after = copy.deepcopy(current)
    for item in given:
        place = next((at for at, one in enumerate(after) if one.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            after = [one for one in after if one.get(key) != item[key]]
        elif place is None:
            after.append(copy.deepcopy(item))
        else:
            after[place] = merged(after[place], item, is_strategic=True)
    return after


def _require_known(name: str) -> None:
    known = name == "$retainKeys" or name.startswith("$setElementOrder/")
    assert known, f"the double does not know the directive {name} of a strategic merge patch"
