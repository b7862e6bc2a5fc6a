"""A wrong value of a setting stops the start with one line that names its variable."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url

from common.errors import Misconfigured
from common.settings import from_env
from common.settings.environment import Environment

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
    return str(raised.value)


@pytest.mark.parametrize(
    "value",
    ["localhost:3923", "web", "ftp://web", "http://", "http://:3000", "http://[fe80::1", "http://web:99999", "http://web:x"],
)  # fmt: skip
@pytest.mark.parametrize("name", ADDRESSES)
def test_what_is_no_web_address_is_refused_by_name(name: str, value: str, tmp_path: Path) -> None:
    said = refused(name, value, tmp_path)

    assert said.startswith(name)
    assert "http or https address" in said


@pytest.mark.parametrize("name", ADDRESSES)
def test_a_password_in_a_wrong_address_is_not_shown(name: str, tmp_path: Path) -> None:
    assert "secret" not in refused(name, "ftp://me:secret@web", tmp_path)


@pytest.mark.parametrize(
    "value",
    ["http://localhost:3923", "https://aiworker.example/", "http://[fe80::1]:3000", "HTTP://WEB", "http://web/below"],
)
@pytest.mark.parametrize("name", ADDRESSES)
def test_a_web_address_is_taken(name: str, value: str, tmp_path: Path) -> None:
    from_env({**SECRET, "AIWORKER_DATA_DIR": str(tmp_path), name: value})


@pytest.mark.parametrize("name", ADDRESSES)
def test_an_empty_address_counts_as_not_set(name: str, tmp_path: Path) -> None:
    environ = {**SECRET, "AIWORKER_DATA_DIR": str(tmp_path)}

    assert from_env({**environ, name: " "}) == from_env(environ)


@pytest.mark.parametrize("value", ["²", "½", "-1", "+1", "1.5", "1_000", "0x10", "many", "9" * 5000])
@pytest.mark.parametrize("name", ["PORT", "AIWORKER_PORT", "AIWORKER_DISK_RESERVE_BYTES", "AIWORKER_KEEP_JOB_DAYS"])
def test_what_is_no_whole_number_is_refused_by_name(name: str, value: str, tmp_path: Path) -> None:
    assert refused(name, value, tmp_path).startswith(f"{name}={value} is not a whole number from ")


@pytest.mark.parametrize("name", ["LOG_LEVEL", "AIWORKER_LOG_LEVEL"])
def test_an_unknown_log_level_is_refused_by_name(name: str, tmp_path: Path) -> None:
    assert refused(name, "loud", tmp_path) == f"{name}=loud is not one of DEBUG, INFO, WARNING, ERROR, CRITICAL"


@pytest.mark.parametrize(
    ("environ", "level"),
    [
        ({}, "INFO"),
        ({"LOG_LEVEL": "debug"}, "DEBUG"),
        ({"LOG_LEVEL": "debug", "AIWORKER_LOG_LEVEL": "Warn"}, "WARN"),
        ({"LOG_LEVEL": "NOTSET"}, "NOTSET"),
        ({"LOG_LEVEL": "fatal", "AIWORKER_LOG_LEVEL": ""}, "FATAL"),
    ],
)
def test_log_levels_are_those_of_python(environ: dict[str, str], level: str, tmp_path: Path) -> None:
    assert from_env({**SECRET, "AIWORKER_DATA_DIR": str(tmp_path), **environ}).log_level == level


@pytest.mark.parametrize("value", ["redis://[x", "redis://redis:port/0", "rediss://:pass#word@redis:6379"])
def test_a_redis_url_that_cannot_be_read_is_refused_by_name(value: str, tmp_path: Path) -> None:
    assert refused("AIWORKER_REDIS_URL", value, tmp_path).startswith("AIWORKER_REDIS_URL must be an address such as ")


@pytest.mark.parametrize(
    "value",
    ["redis://redis", "redis://:secret@redis:6379/0", "rediss://[::1]:6379?ssl_cert_reqs=none", "unix:///run/redis.sock",
     "unix://user:secret@/run/redis.sock?db=1"],
)  # fmt: skip
def test_a_redis_url_is_taken(value: str, tmp_path: Path) -> None:
    environ = {**SECRET, "AIWORKER_DATA_DIR": str(tmp_path), "REDIS_URL": value}

    assert from_env(environ).store.redis_url == value


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("mysql://me:secret@db:port/shop", " must be an address such as mysql+pymysql://"),
        ("mysql://me:secret@db:99999/shop", " must be an address such as mysql+pymysql://"),
        ("mysql://me:secret@[::1/shop", " must be an address such as mysql+pymysql://"),
        # As providers of databases give it for other languages.
        ("mysql://me:secret@db/shop?reconnect=true", ": reconnect is no option of a connection; take it out of"),
        ("mysql://me:secret@db/shop?ssl=true&charset=utf8mb4", ": ssl is no option of a connection; take it out of"),
        ("mysql://me:secret@db/shop?connect_timeout=soon", ": connect_timeout=soon is not a whole number"),
        ("mysql://me:secret@db/shop?ssl_verify_cert=maybe", ": ssl_verify_cert=maybe is neither true nor false"),
        ("mysql://me:secret@db/shop?ssl_ca=/no/ca.pem", ": ssl_ca=/no/ca.pem can't be read: No such file or directory"),
        ("mysql://me:secret@db/shop?ssl_key=/dev/null", ": ssl_key=/dev/null is no file in PEM"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["DATABASE_URL", "AIWORKER_DATABASE_URL"])
def test_a_database_that_cannot_be_connected_to_is_refused_by_name(
    name: str, value: str, told: str, tmp_path: Path
) -> None:
    said = refused(name, value, tmp_path)

    assert said.startswith(f"AIWORKER_DATABASE_URL{told}")
    assert "secret" not in said


@pytest.mark.parametrize(
    "value",
    ["mysql://db", "mysql://me@db:3306/shop", "mysql://me:a/b?c:d%40e@[::1]:3306/shop?ssl_ca=FILE", "mysql:///shop?unix_socket=/run/a.sock",
     "mysql://me:secret@db/shop?ssl_disabled=true&connect_timeout=5&read_timeout=9"],
)  # fmt: skip
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
    assert read("sqlite:///a%20b.db") == f"sqlite:///{tmp_path}/a b.db"
    for whole in (f"sqlite:///{tmp_path}/a.db", f"sqlite:///file:{tmp_path}/a.db?uri=true"):
        assert read(whole) == whole


@pytest.mark.parametrize("name", ["AIWORKER_SECRET_KEY", "AIWORKER_ADMIN_PASSWORD"])
def test_a_secret_that_is_not_utf_8_is_refused_by_name_and_not_shown(name: str, tmp_path: Path) -> None:
    assert refused(name, "caf\udce9" * 9, tmp_path) == f"{name} is not text in UTF-8"


@pytest.mark.parametrize("value", ["https://git.example.com/", "git.example.com/shop", "ada@git.example.com", "a b"])
@pytest.mark.parametrize("name", ["AIWORKER_ALLOWED_HOSTS", "AIWORKER_IMPORT_ALLOW", "AIWORKER_OUTGOING_ALLOW"])
def test_an_address_in_a_list_of_hosts_is_refused_by_name(name: str, value: str, tmp_path: Path) -> None:
    assert refused(name, f"10.0.0.5, {value}", tmp_path).startswith(f"{name}: {value!r} is not a host such as ")


@pytest.mark.parametrize("value", ["http://apps.example.com", "apps.example.com:80", "apps.example/", "a b", "[::1]"])
@pytest.mark.parametrize("name", ["AIWORKER_RUNTIME_HOST", "AIWORKER_RUNTIME_BIND"])
def test_what_is_no_host_of_apps_is_refused_by_name(name: str, value: str, tmp_path: Path) -> None:
    assert refused(name, value, tmp_path).startswith(f"{name}={value} is not a host such as ")


@pytest.mark.parametrize("owner", ["Shops!", "Shops", "a/b", "x" * 41])
def test_an_owner_that_the_local_forge_can_not_have_is_refused(owner: str, tmp_path: Path) -> None:
    """Else only the first project would tell. Of a Gitea's, the doctor tells more."""
    assert refused("AIWORKER_FORGE_OWNER", owner, tmp_path) == (
        f"AIWORKER_FORGE_OWNER={owner} is not 1 to 40 small letters, digits and hyphens"
    )
    assert Environment({"X": "our-shops-2"}).slug("X", default="y") == "our-shops-2"
