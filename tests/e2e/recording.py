"""Keeps what is said to an instance as examples for the API's description: web/api/examples/<operation>.json.

Ids, times, commits, addresses and secrets are replaced by ones that stay the same from recording to recording, so that
a new recording differs only where the API does.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

Json = Any

MOST_LISTED = 2
"""Entries of a list in an example; its first ones."""
MOST_TEXT = 600

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_AGENT = re.compile(r"agent-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_SHA = re.compile(r"\b[0-9a-f]{40}\b")
_PORT = re.compile(r"localhost:[0-9]{5}")
_SECRET = re.compile(r"\b(?P<kind>a[a-z]{2}_|eyJ)[A-Za-z0-9_.=-]{16,}")
_PASSWORD = re.compile(r'(?P<name>"password": )"[A-Za-z0-9_-]{40,}"')
_OF_THIS_RUN = [
    (re.compile(r"as process [0-9]+, PORT=[0-9]+"), "as process 4211, PORT=47103"),
    (re.compile(r"[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4} [0-9:]{8}"), "02/Mar/2026 09:06:00"),
    (re.compile(r'"latencyMs": [0-9]+'), '"latencyMs": 412'),
]
_FIRST_TIME = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class Recorder:
    """session: what is sent through it is kept: the first successful exchange of each operation.

    description: the instance's own, at /api/openapi.json.
    """

    def __init__(self, description: Json) -> None:
        self.session = requests.Session()
        self.session.hooks["response"].append(self._keep)
        self.kept: dict[str, Json] = {}
        self._operations = {
            (method.upper(), re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))): operation
            for path, methods in description["paths"].items()
            for method, operation in methods.items()
            if method != "parameters"
        }

    def missing(self) -> list[str]:
        """The operations that were not called."""
        return sorted({operation["operationId"] for operation in self._operations.values()} - self.kept.keys())

    def _keep(self, reply: requests.Response, **_options: object) -> None:
        target = urlsplit(str(reply.request.url))
        method = str(reply.request.method)
        found = [
            (operation, match.groupdict())
            for (verb, path), operation in self._operations.items()
            if verb == method and (match := path.fullmatch(target.path))
        ]
        # A path with a word in it fits one with a parameter, too: /projects/sample is no project.
        found.sort(key=lambda one: len(one[1]))
        if not found or not reply.ok:
            return
        operation, parameters = found[0]
        content = operation["responses"].get(str(reply.status_code), {}).get("content", {})
        is_json = "application/json" in content
        # Nothing new (304, or no work yet) is not what an operation is for.
        is_empty = not content and "content" in operation["responses"].get("200", {})
        if operation["operationId"] in self.kept or is_empty:
            return
        example: Json = {"parameters": {**parameters, **dict(parse_qsl(target.query))}}
        if "application/json" in operation.get("requestBody", {}).get("content", {}):
            example["request"] = json.loads(reply.request.body or b"{}")
        example["status"] = reply.status_code
        if is_json:
            example["reply"] = reply.json()
        self.kept[operation["operationId"]] = example

    def write(self, folder: Path, plain: Mapping[str, str]) -> None:
        """Write all that was kept. plain: what stands in the texts that are only of this run, by what it becomes."""
        tidy = _Tidy({name: _cut(example) for name, example in self.kept.items()}, plain)
        for path in folder.glob("*.json"):
            path.unlink()
        for name, example in tidy.examples().items():
            (folder / f"{name}.json").write_text(json.dumps(example, ensure_ascii=False, indent=2) + "\n", "utf-8")


class _Tidy:
    """Replaces what differs from run to run, the same thing by the same thing everywhere."""

    def __init__(self, examples: dict[str, Json], plain: Mapping[str, str]) -> None:
        text = json.dumps(examples, ensure_ascii=False)
        for old, new in sorted(plain.items(), key=lambda one: -len(one[0])):
            text = text.replace(old, new)
        text = self._rename(text, _ID, self._new_id)
        text = self._rename(text, _PORT, lambda number: f"localhost:{47100 + number}")
        text = self._rename(text, _AGENT, lambda number: f"agent-{number:012x}")
        text = self._rename(text, _SHA, lambda number: hashlib.sha1(f"{number}".encode()).hexdigest())
        times = {found: self._new_time(at) for at, found in enumerate(sorted(set(_TIME.findall(text))))}
        text = _TIME.sub(lambda found: times[found[0]], text)
        for pattern, new in _OF_THIS_RUN:
            text = pattern.sub(new, text)
        text = _PASSWORD.sub(r'\g<name>"…"', text)
        self._text = _SECRET.sub(lambda found: f"{found['kind']}…", text)

    def examples(self) -> dict[str, Json]:
        tidied: dict[str, Json] = json.loads(self._text)
        return tidied

    @staticmethod
    def _rename(text: str, pattern: re.Pattern[str], make: Callable[[int], str]) -> str:
        numbers = itertools.count(1)
        names: dict[str, str] = {}
        for found in pattern.findall(text):
            if found not in names:
                names[found] = make(next(numbers))
        for old, new in names.items():
            text = text.replace(old, new)
            # Branches, namespaces and hosts have the last eight digits of an id.
            text = re.sub(rf"(?<![0-9a-f]){old[-8:]}(?![0-9a-f])", new[-8:], text) if pattern is _ID else text
        return text

    @staticmethod
    def _new_id(number: int) -> str:
        return f"019cad10-{0x1000 + number:04x}-7000-8000-{hashlib.sha1(f'{number}'.encode()).hexdigest()[:12]}"

    @staticmethod
    def _new_time(number: int) -> str:
        return (_FIRST_TIME + timedelta(seconds=7 * number)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _cut(value: Json, path: tuple[str, ...] = ()) -> Json:
    """Without what makes an example long: further entries of a reply's lists, the rest of long texts."""
    if isinstance(value, dict):
        return {name: _cut(part, (*path, name)) for name, part in value.items()}
    if isinstance(value, list):
        return [_cut(part, path) for part in (value[:MOST_LISTED] if "reply" in path else value)]
    if isinstance(value, str) and len(value) > MOST_TEXT and "reply" in path:
        return value[:MOST_TEXT] + "…"
    return value
