"""Which permissions a request to the cluster's API takes, as RBAC counts them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from common.providers.runtime.cluster.permissions import APPLY, Permission

Right = tuple[str, str, str]
"""group (empty for the core), resource (`pods/log` for a part), verb."""

_REQUEST = re.compile(
    r"(?P<method>[A-Z]+) /(?:api/v1|apis/(?P<group>[^/]+)/[^/]+)"
    r"(?:/namespaces/[^/?]+(?=/))?/(?P<resource>[a-z]+)(?:/(?P<name>[^/?]+)(?:/(?P<part>[a-z]+))?)?(?:\?(?P<query>.*))?"
)
_VERBS = {"GET": ("get",), "POST": ("create",), "DELETE": ("delete",), "PATCH": APPLY}


def rights_of(permissions: Iterable[Permission]) -> set[Right]:
    return {(one.group, one.resource, verb) for one in permissions for verb in one.verbs}


def rights_asked(requests: Iterable[str]) -> set[Right]:
    """requests: `GET /api/v1/namespaces/x?…`. What everyone may ask, /version and reviews of oneself, takes none."""
    asked: set[Right] = set()
    for request in requests:
        if re.match(r"GET /version\b|POST /apis/authorization", request):
            continue
        found = _REQUEST.fullmatch(request)
        assert found is not None, request
        resource = "/".join(part for part in (found["resource"], found["part"]) if part)
        verbs = _VERBS[found["method"]]
        if found["method"] == "GET" and found["name"] is None:
            verbs = ("watch",) if "watch=" in (found["query"] or "") else ("list",)
        asked |= {(found["group"] or "", resource, verb) for verb in verbs}
    return asked
