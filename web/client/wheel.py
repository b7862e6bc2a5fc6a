"""Puts the client into a wheel, which pip installs from an address or a file. The same description, the same bytes."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile

from web.client.generator import NAME, files_of
from web.http.description.document import Document

_TAG = "py3-none-any"
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)
_METADATA = """\
Metadata-Version: 2.1
Name: aiworker-client
Version: {version}
Summary: A client of AiWorker, made from the description of its API.
Requires-Python: >=3.11
Requires-Dist: requests>=2.31
"""
_WHEEL = f"Wheel-Version: 1.0\nGenerator: aiworker\nRoot-Is-Purelib: true\nTag: {_TAG}\n"


def file_name(version: str) -> str:
    """The name that pip wants of a wheel of this version."""
    return f"{NAME}-{version}-{_TAG}.whl"


def wheel_of(description: Document) -> bytes:
    """The wheel of the client for the API that is described."""
    version: str = description["info"]["version"]
    information = f"{NAME}-{version}.dist-info"
    contents = {
        **files_of(description),
        f"{information}/METADATA": _METADATA.format(version=version),
        f"{information}/WHEEL": _WHEEL,
    }
    record = "".join(f"{file},{_digest(text.encode())},{len(text.encode())}\n" for file, text in contents.items())
    contents[f"{information}/RECORD"] = f"{record}{information}/RECORD,,\n"
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for file, text in contents.items():
            entry = zipfile.ZipInfo(file, _FIRST_DAY)
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, text)
    return made.getvalue()


def _digest(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
