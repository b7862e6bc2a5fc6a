"""What a kubelet does to the arguments of a container's command before it runs them."""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$\$|\$\(([^)]*)\)")


def expanded(text: str, environ: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by the container's variable of that name, if it has one, and `$$` by `$`."""

    def replacement(found: re.Match[str]) -> str:
        return "$" if found[1] is None else environ.get(found[1], found[0])

    return _REFERENCE.sub(replacement, text)
