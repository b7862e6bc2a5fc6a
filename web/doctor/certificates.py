"""Whether the files of certificates that the environment names are there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from common.machine.certificates import CHOSEN
from common.values.finding import Finding

PART = "certificates"


def examine_certificates(environ: Mapping[str, str]) -> Iterator[Finding]:
    """A finding for each variable that names nothing that can be read; nothing where all is well."""
    for name in CHOSEN:
        path = environ.get(name)
        if path and not os.access(path, os.R_OK):
            yield Finding("fail", PART, f"{name} names {path}, which can't be read; correct it, or unset it")
