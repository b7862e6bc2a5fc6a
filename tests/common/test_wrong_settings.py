"""A wrong value of a setting stops the start with one line that names its variable and shows no secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url

from common.errors import Misconfigured
from common.settings import from_env

SECRET = {"AIWORKER_SECRET_KEY": "0123456789abcdef" * 2}
ADDRESSES = (
    "AIWORKER_PUBLIC_URL", "AIWORKER_INTERNAL_URL", "AIWORKER_GATEWAY_URL", "AIWORKER_WEBHOOK_URL", "GITEA_URL",
    "OTEL_EXPORTER_OTLP_ENDPOINT", "SENTRY_DSN", "OPENAI_BASE_URL",
)  # fmt: skip


def refused(name: str, value: str, tmp_path: Path) -> str:
    """What is said about this value."""
    with pytest.raises(Misconfigured) as raised:
        from_env({**SECRET, "AIWORKER_DATA_DIR": str(tmp_path), name: value})
    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("name", ADDRESSES)
def test_what_is_no_web_address_is_refused_by_name(name: str, tmp_path: Path) -> None:
    for value in ("localhost:3923", "http://", "http://[fe80::1", "http://web:99999", "ftp://me:secret@web"):
        said = refused(name, value, tmp_path)
        assert said.startswith(name)
        assert "http or https address" in said


@pytest.mark.parametrize("name", ADDRESSES)
def test_a_web_address_is_taken_and_an_empty_one_counts_as_not_set(name: str, tmp_path: Path) -> None:
    environ = {**SECRET, "AIWORKER_DATA_DIR": str(tmp_path)}

    for value in ("http://localhost:3923", "http://[fe80::1]:3000", "HTTP://WEB", "http://web/below"):
        from_env({**environ, name: value})
    assert from_env({**environ, name: " "}) == from_env(environ)


@pytest.mark.parametrize("name", ["PORT", "AIWORKER_DISK_RESERVE_BYTES", "AIWORKER_KEEP_DAYS"])
def test_what_is_no_whole_number_is_refused_by_name(name: str, tmp_path: Path) -> None:
    for value in ("½", "-1", "1.5", "1_000", "many", "9" * 5000):
        assert refused(name, value, tmp_path).startswith(f"{name}={value} is not a whole number from ")


DATABASE = "AIWORKER_DATABASE_URL"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("LOG_LEVEL", "loud", "LOG_LEVEL=loud is not one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        ("AIWORKER_REDIS_URL", "redis://redis:port/0", "AIWORKER_REDIS_URL must be an address such as "),
        ("DATABASE_URL", "mysql://me:secret@db:port/shop", f"{DATABASE} must be an address such as "),
        (DATABASE, "mysql://me:secret@[::1/shop", f"{DATABASE} must be an address such as mysql+pymysql://"),
        (DATABASE, "mysql://me:secret@db/shop?ssl=true", f"{DATABASE}: ssl is no option of a connection"),
        (DATABASE, "mysql://me:secret@db/shop?connect_timeout=soon", f"{DATABASE}: connect_timeout=soon is not a "),
        (DATABASE, "mysql://me:secret@db/shop?ssl_verify_cert=maybe", f"{DATABASE}: ssl_verify_cert=maybe is neither "),
        (DATABASE, "mysql://me:secret@db/shop?ssl_ca=/no/ca.pem", f"{DATABASE}: ssl_ca=/no/ca.pem can't be read: "),
        (DATABASE, "mysql://me:secret@db/shop?ssl_key=/dev/null", f"{DATABASE}: ssl_key=/dev/null is no file in PEM"),
        ("AIWORKER_SECRET_KEY", "secret\udce9" * 9, "AIWORKER_SECRET_KEY is not text in UTF-8"),
        ("AIWORKER_ALLOWED_HOSTS", "10.0.0.5, a b", "AIWORKER_ALLOWED_HOSTS: 'a b' is not a host such as "),
        ("AIWORKER_ALLOWED_HOSTS", "a.example:8443", "AIWORKER_ALLOWED_HOSTS: 'a.example:8443' is not a host such as "),
        ("AIWORKER_IMPORT_ALLOW", "https://a/", "AIWORKER_IMPORT_ALLOW: 'https://a/' is not a host such as "),
        ("AIWORKER_OUTGOING_ALLOW", "ada@a", "AIWORKER_OUTGOING_ALLOW: 'ada@a' is not a host such as "),
        ("AIWORKER_RUNTIME_HOST", "http://apps", "AIWORKER_RUNTIME_HOST=http://apps is not a host such as "),
        ("AIWORKER_RUNTIME_BIND", "apps:80", "AIWORKER_RUNTIME_BIND=apps:80 is not a host such as "),
        ("AIWORKER_RUNTIME_PORTS", "8199-8100", "AIWORKER_RUNTIME_PORTS=8199-8100 is not a range of ports "),
        ("AIWORKER_RUNTIME_PORTS", "80-8100", "AIWORKER_RUNTIME_PORTS=80-8100 is not a range of ports "),
        ("AIWORKER_FORGE_OWNER", "a/b", "AIWORKER_FORGE_OWNER=a/b is not 1 to 40 small letters, digits and hyphens"),
    ],
)
def test_what_can_not_be_meant_is_refused_by_name(name: str, value: str, told: str, tmp_path: Path) -> None:
    assert refused(name, value, tmp_path).startswith(told)


@pytest.mark.parametrize(
    "value",
    [
        "mysql://db",
        "mysql://me:a/b?c:d%40e@[::1]:3306/shop?ssl_ca=FILE",
        "mysql:///shop?unix_socket=/run/a.sock",
        "mysql://me:secret@db/shop?ssl_disabled=true&connect_timeout=5&read_timeout=9",
    ],
)
def test_an_address_of_a_database_is_taken_as_the_library_takes_it(value: str, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    value = value.replace("FILE", f"{tmp_path}/ca.pem")

    read = from_env({**SECRET, "AIWORKER_DATA_DIR": str(tmp_path), "DATABASE_URL": value}).store.database_url

    assert read.replace("mysql+pymysql:", "mysql:", 1).startswith(value)
    create_engine(read).dialect.create_connect_args(make_url(read))


def test_a_file_of_sqlite_may_be_named_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes of `aiworker up` work in another one."""
    monkeypatch.chdir(tmp_path)

    def read(url: str) -> str:
        return from_env({**SECRET, "AIWORKER_DATA_DIR": str(tmp_path), "DATABASE_URL": url}).store.database_url

    assert read("sqlite:///shop/a.db?timeout=5") == f"sqlite:///{tmp_path}/shop/a.db?timeout=5"
    assert read(f"sqlite:///{tmp_path}/a.db") == f"sqlite:///{tmp_path}/a.db"
