"""The paths of the part of the API that the double serves."""

from __future__ import annotations

from urllib.parse import unquote

from tests.doubles.kubernetes.discovery import KINDS


class Refusal(Exception):
    """What the server answers instead of an object: an HTTP status, its reason in one word, and a sentence."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message


def parse(path: str) -> tuple[str, str, str, str]:
    """(plural, namespace, name, subresource), empty where there is none."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    rest += [""] * (3 - len(rest))
    if rest[0] not in KINDS:
        raise Refusal(404, "NotFound", "the server could not find the requested resource")
    return rest[0], namespace, rest[1], rest[2]
