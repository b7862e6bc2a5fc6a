"""Every curl line of README and docs is sent to the application as it stands; every operation that is named exists."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from common.values.states import ProjectState, Role
from tests import app_server, builders
from tests.web import factories
from tests.web.documentation.snippets import blocks, commands, program

BLOCKS = blocks()
PAGES = sorted({block.page for block in BLOCKS if "curl " in block.text and not block.page.startswith("deploy/")})
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")


@dataclass
class _Shell:
    """Sends curl lines with variables as a reader has them. What is made is known by its kind to the lines after it."""

    client: FlaskClient
    variables: dict[str, str]
    sent: list[str] = field(default_factory=list)

    def curl(self, words: list[str]) -> None:
        parser = argparse.ArgumentParser()
        parser.add_argument("url")
        parser.add_argument("-X")
        parser.add_argument("-H", action="append", default=[])
        parser.add_argument("-d")
        given = parser.parse_args([self._filled(word) for word in words])
        address = given.url.removeprefix("http://localhost:3000")
        headers = dict(line.split(": ", 1) for line in given.H)
        method = given.X or ("GET" if given.d is None else "POST")
        assert address.startswith("/api/"), given.url
        assert given.d is None or headers["Content-Type"] == "application/json"

        reply = self.client.open(address, method=method, headers=headers, data=given.d)

        self.sent.append(f"{method} {address}")
        assert reply.status_code < 400, (method, address, reply.text)
        if "taskGroup" in reply.json and reply.status_code == 201:
            self.variables["GROUP"] = reply.json["taskGroup"]["id"]

    def _filled(self, word: str) -> str:
        return _VARIABLE.sub(lambda found: self.variables[found[1]], word)


@pytest.fixture
def shell(plain_app: Flask) -> _Shell:
    """Of an administrator with a project, two tasks that are ready to test, one that asks, and two model providers."""
    admin = builders.a_user("admin", Role.ADMIN)
    token = builders.a_token(admin)
    project = factories.a_project("Toys")
    factories.set_state(project, ProjectState.ACTIVE)
    asking = factories.a_task(project)
    known = builders.client_with(plain_app, token)
    for name in ("first", "second"):
        provider = {"name": name, "api": "anthropic", "baseUrl": f"https://{name}.example", "key": "sk-of-tests"}
        added = known.post("/api/model-providers", json=provider)
        assert added.status_code == 201, added.text
    variables = {
        "AIWORKER_URL": "http://localhost:3000",
        "AIWORKER_TOKEN": token,
        "PASSWORD": builders.PASSWORD,
        "ANTHROPIC_API_KEY": "sk-of-tests",
        "PROJECT": project.id,
        "ETAG": 'W/"of an earlier reply"',
        "TASK": factories.ready_task(project).id,
        "OTHER": factories.ready_task(project).id,
        "ASKING": asking.id,
        "QUESTION": factories.a_question(asking).id,
        "ID": known.get("/api/model-providers").json["modelProviders"][0]["id"],
    }
    return _Shell(plain_app.test_client(), variables)


@pytest.mark.parametrize("page", PAGES)
def test_every_call_of_a_page_is_answered(shell: _Shell, page: str) -> None:
    """In the page's order: what one line does, the next ones find."""
    for block in BLOCKS:
        if block.page == page and block.language in {"bash", "sh"}:
            for words in commands(block.text):
                _given, command = program(words)
                if command[:1] == ["curl"]:
                    shell.curl(command[1:])

    assert len(shell.sent) == sum(block.text.count("curl ") for block in BLOCKS if block.page == page)


@pytest.fixture
def served(plain_app: Flask) -> Iterator[str]:
    with app_server.served(plain_app) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.slow
def test_the_guides_program_prints_what_is_ready(
    shell: _Shell, served: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (code,) = [block.text for block in BLOCKS if block.language == "python"]
    (line,) = [block.text for block in blocks() if "pip install" in block.text and "api/client" in block.text]
    address = line.partition("$AIWORKER_URL")[2].strip().strip('"')
    (tmp_path / "client.whl").write_bytes(shell.client.get(address).data)
    monkeypatch.syspath_prepend(str(tmp_path / "client.whl"))
    monkeypatch.setenv("AIWORKER_URL", served)
    monkeypatch.setenv("AIWORKER_TOKEN", shell.variables["AIWORKER_TOKEN"])

    exec(code, {})

    *lines, refused = capsys.readouterr().out.splitlines()
    assert refused.startswith("409 ")
    assert "only ready_to_test can be approved" in refused
    assert sorted(line.split()[0] for line in lines) == sorted([shell.variables["TASK"], shell.variables["OTHER"]])
