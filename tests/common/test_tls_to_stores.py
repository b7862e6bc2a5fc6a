"""TLS to Redis and MariaDB: each library that speaks to them checks certificates, and as the address says."""

from __future__ import annotations

import runpy
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import celery
import kombu.exceptions
import pytest
import redis
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from common.events import feed
from common.settings import read_store, settings
from common.settings.environment import Environment
from tests.common.conftest import SECRET_KEY
from tests.conftest import leave_out
from tests.servers import ROOT, MariaDB, NotInstalled, mariadb_server
from tests.tls import Certificate, make_certificate, make_certificate_of_plain_authority, strict, tls_in_front_of

Point = Callable[[str], None]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """For 127.0.0.1, of an authority that Python 3.13 refuses by default."""
    return make_certificate_of_plain_authority(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of another authority."""
    return make_certificate(tmp_path_factory.mktemp("other")).authority


@pytest.fixture(scope="module")
def redis_port(redis_url: str, own: Certificate) -> Iterator[int]:
    with tls_in_front_of(Path(redis_url.removeprefix("unix://")), own) as port:
        yield port


@pytest.fixture
def point(
    redis_port: int, no_named_certificates: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Point]:
    """Makes the settings name the Redis by an address in which PORT stands for its port."""
    monkeypatch.setenv("AIWORKER_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("AIWORKER_SECRET_KEY", SECRET_KEY)
    monkeypatch.setattr(ssl, "create_default_context", strict(ssl.create_default_context))

    def change(address: str) -> None:
        monkeypatch.setenv("AIWORKER_REDIS_URL", address.replace("PORT", str(redis_port)))
        settings.cache_clear()

    yield change
    feed.close_client()
    settings.cache_clear()


def ask_as_worker() -> None:
    """Through kombu, with the settings that Celery reads."""
    read = runpy.run_path(str(ROOT / "celeryconfig.py"))
    app = celery.Celery("tests", set_as_current=False)
    app.conf.update({name: value for name, value in read.items() if name.startswith("broker_")})
    with app.connection_for_read() as connection:
        connection.ensure_connection(max_retries=1, timeout=2)
        connection.default_channel.client.ping()


def follow() -> None:
    entries = feed.follow()
    next(entries)
    entries.close()  # type: ignore[attr-defined]


WAYS = {"client": feed.ping, "exchange": lambda: feed.exchange([["PING"]]), "follow": follow, "worker": ask_as_worker}
BY_WAY = pytest.mark.parametrize("ask", WAYS.values(), ids=WAYS)


@BY_WAY
def test_a_redis_whose_authority_is_known_answers(
    point: Point, own: Certificate, monkeypatch: pytest.MonkeyPatch, ask: Callable[[], object]
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(own.authority))
    point("rediss://127.0.0.1:PORT/0")

    ask()


@BY_WAY
@pytest.mark.parametrize(
    ("address", "why"),
    [("rediss://127.0.0.1:PORT/0", "unable to get local issuer|self-signed"),
     ("rediss://localhost:PORT/0?ssl_ca_certs=OWN", "Hostname mismatch")],
)  # fmt: skip
def test_a_redis_that_may_be_another_one_is_refused(
    point: Point, own: Certificate, ask: Callable[[], object], address: str, why: str
) -> None:
    point(address.replace("OWN", str(own.authority)))

    with pytest.raises((redis.ConnectionError, kombu.exceptions.OperationalError), match=why):
        ask()


@pytest.fixture(scope="module")
def secure_mariadb(own: Certificate) -> Iterator[MariaDB]:
    try:
        with mariadb_server(f"--ssl-cert={own.certificate}", f"--ssl-key={own.key}", "--ssl") as server:
            yield server
    except NotInstalled as reason:
        leave_out(str(reason))


@pytest.fixture(scope="module")
def address(secure_mariadb: MariaDB) -> str:
    return secure_mariadb.new_database().partition("?")[0]


def cipher_of(address: str, options: str, own: Certificate) -> str:
    """What encrypts a connection as the platform opens it; empty if nothing does."""
    url = f"{address}?{options.replace('OWN', str(own.authority))}"
    made = create_engine(read_store(Environment({"AIWORKER_DATABASE_URL": url})).database_url)
    with made.connect() as connection:
        row = connection.execute(text("SHOW STATUS LIKE 'Ssl_cipher'")).one()
    made.dispose()
    return str(row[1])


@pytest.mark.parametrize(
    "options",
    ["", "ssl_ca=OWN", "ssl_ca=OWN&ssl_verify_identity=true&charset=utf8mb4"],
)
def test_a_database_whose_authority_is_named_answers(address: str, own: Certificate, options: str) -> None:
    assert cipher_of(address, options, own).startswith("TLS_")


@pytest.mark.parametrize(
    ("host", "options", "why"),
    [("127.0.0.1", "ssl_ca=OTHER", "self-signed|unable to get"),
     ("127.0.0.1", "ssl_verify_cert=true", "self-signed|unable to get"),
     ("localhost", "ssl_ca=OWN", "Hostname mismatch"),
],
)  # fmt: skip
@pytest.mark.usefixtures("no_named_certificates")
def test_a_database_that_may_be_another_one_is_refused(
    address: str, own: Certificate, other: Path, host: str, options: str, why: str
) -> None:
    with pytest.raises(OperationalError, match=why):
        cipher_of(address.replace("127.0.0.1", host), options.replace("OTHER", str(other)), own)
