"""Which Host and which paths are answered at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from common.settings import from_env
from tests.web.conftest import AppOn
from web.http.host_check import Hosts

FOREIGN = ["evil.test", "evil.test:3000", "localhost.evil.test", "127.0.0.1.evil.test", "evil.test@localhost", "a b",
           "localhost:3000/x", "[::1", "127.0.0.1:999999", "notlocalhost", ""]  # fmt: skip
OWN = ["localhost", "LOCALHOST:3000", "localhost.", "app.localhost:1", "127.0.0.1:3000", "10.1.2.3", "[::1]:3000",
       "[2001:db8::1]", "aiworker.example", "aiworker.example:443", "web.aiworker.svc:3000",
       "hooks.example"]  # fmt: skip


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    return Hosts(
        from_env(
            {
                "AIWORKER_DATA_DIR": str(tmp_path),
                "AIWORKER_PUBLIC_URL": "https://AiWorker.example",
                "AIWORKER_INTERNAL_URL": "http://web.aiworker.svc:3000",
                "AIWORKER_WEBHOOK_URL": "http://hooks.example/api/webhooks/gitea",
            }
        )
    )


def test_a_name_of_the_instance_is_known_and_no_other(hosts: Hosts) -> None:
    assert [host for host in OWN if not hosts.allow(host)] == []
    assert [host for host in FOREIGN if hosts.allow(host)] == []


@pytest.mark.parametrize(
    ("named", "host", "is_allowed"),
    [
        ("box.lan", "box.lan:3000", True),
        ("box.lan", "other.lan", False),
        (".example.com", "a.b.example.com", True),
        ("*.example.com", "a.example.com", True),
        (".example.com", "badexample.com", False),
        ("one.test, two.test", "two.test", True),
        ("*", "anything.test", True),
    ],
)
def test_names_can_be_added(tmp_path: Path, named: str, host: str, is_allowed: bool) -> None:
    chosen = from_env({"AIWORKER_DATA_DIR": str(tmp_path), "AIWORKER_ALLOWED_HOSTS": named})

    assert Hosts(chosen).allow(host) == is_allowed
    assert Hosts(chosen).allow("localhost")


@pytest.mark.parametrize("path", ["/", "/api/users", "/git/aiworker/x.git/info/refs"])
def test_a_foreign_host_gets_a_421_that_says_why(plain_admin: FlaskClient, path: str) -> None:
    reply = plain_admin.get(path, headers={"Host": "evil.test"})

    assert reply.status_code == 421
    assert reply.json["error"] == "Misdirected request"
    assert reply.json["details"]["field"] == "Host"
    assert "AIWORKER_ALLOWED_HOSTS" in reply.json["details"]["message"]


@pytest.mark.parametrize("path", ["/api/health", "/api/health/ready"])
def test_probes_come_by_whatever_name(plain_app: Flask, path: str) -> None:
    assert plain_app.test_client().get(path, headers={"Host": "web-7f.pods.test"}).status_code != 421


def test_behind_a_trusted_proxy_the_host_is_the_one_that_it_forwards(
    app_on: AppOn, sqlite_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIWORKER_TRUSTED_PROXIES", "1")
    client = app_on(sqlite_database_url).test_client()

    forwarded = {"Host": "backend:3000", "X-Forwarded-Host": "localhost"}
    assert client.get("/", headers=forwarded).status_code == 200
    assert client.get("/", headers=forwarded | {"X-Forwarded-Host": "evil.test"}).status_code == 421
