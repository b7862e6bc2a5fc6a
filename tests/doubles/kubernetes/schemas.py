"""Whether a manifest is what the API's own schemas know: strictly, so that a field that nobody reads is refused."""

from __future__ import annotations

import functools
import json
from typing import Any

import kubernetes_validate
from kubernetes_validate import utils

VERSION = "1.33"

# It would read and parse its files, of several megabytes, for every manifest.
utils.schema_contents = functools.cache(utils.schema_contents)


def why_invalid(manifest: dict[str, Any]) -> str | None:
    """The reason for which the API's schemas refuse a manifest; None if they do not."""
    about = {name: value for name, value in manifest["metadata"].items() if name not in _SERVERS}
    asked = {name: value for name, value in manifest.items() if name != "status"} | {"metadata": about}
    return _why_invalid(json.dumps(asked, sort_keys=True))


_SERVERS = {"managedFields", "uid", "creationTimestamp", "generation", "resourceVersion"}


@functools.lru_cache(maxsize=4096)
def _why_invalid(text: str) -> str | None:
    try:
        kubernetes_validate.validate(json.loads(text), VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{'.'.join(str(part) for part in error.path)}: {error.message}"
    return None
