"""Objects as `kubectl create` sends them: protocol buffers in Kubernetes' envelope (k8s.io/apimachinery, protobuf.go).

Of the kinds of the API it knows those that the documentation makes with it; the rest is refused as a media type.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

PROTOBUF = "application/vnd.kubernetes.protobuf"

_MAGIC = b"k8s\x00"
_META = {1: ("name", "text"), 3: ("namespace", "text"), 11: ("labels", "texts"), 12: ("annotations", "texts")}
_KINDS = {
    "Namespace": {1: ("metadata", "meta")},
    "Secret": {1: ("metadata", "meta"), 2: ("data", "blobs"), 3: ("type", "text")},
}


def read_object(body: bytes) -> dict[str, Any] | None:
    """The object as its JSON would be; None for a kind that is not known here. AssertionError for an unknown field."""
    assert body.startswith(_MAGIC)
    envelope = dict(_fields(body[len(_MAGIC) :]))
    about = dict(_fields(envelope[1]))
    kind = about[2].decode()
    if kind not in _KINDS:
        return None
    return {"apiVersion": about[1].decode(), "kind": kind, **_read(envelope[2], _KINDS[kind])}


def _read(message: bytes, known: dict[int, tuple[str, str]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, value in _fields(message):
        if number not in known:
            assert not value.strip(b"\0") or not any(content for _, content in _fields(value)), f"field {number}?"
            continue
        name, kind = known[number]
        if kind == "meta":
            found[name] = _read(value, _META)
        elif kind == "text":
            found |= {name: value.decode()} if value else {}
        else:
            key, content = (dict(_fields(value)).get(part, b"") for part in (1, 2))
            text = base64.b64encode(content) if kind == "blobs" else content
            found.setdefault(name, {})[key.decode()] = text.decode()
    return found


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The number and the content of each field; a number's content is empty where it is 0."""
    at = 0
    while at < len(message):
        tag, at = _number(message, at)
        if tag & 7 == 0:
            value, at = _number(message, at)
            yield tag >> 3, value.to_bytes(8, "big").lstrip(b"\0")
        else:
            assert tag & 7 == 2, "only numbers and what has a length"
            size, at = _number(message, at)
            yield tag >> 3, message[at : at + size]
            at += size


def _number(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        part = message[at]
        at += 1
        value |= (part & 0x7F) << shift
        shift += 7
        if part < 0x80:
            return value, at
