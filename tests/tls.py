"""TLS in front of a server of the tests, for programs that send their secrets over TLS alone, as kubectl does."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from common.machine.certificates import certificate_variables

CHUNK_BYTES = 65_536
TRUST_VARIABLES = ("SSL_CERT_DIR", *certificate_variables("a file"))
"""What may tell a program of this machine whom to trust."""


@dataclass(frozen=True)
class Certificate:
    """authority: whom those who shall trust it trust. The certificate itself if it is signed by itself."""

    certificate: Path
    key: Path
    authority: Path


def make_certificate(folder: Path, *names: str) -> Certificate:
    """A certificate for these names and for 127.0.0.1, signed by itself, for one day. Writes page.crt and page.key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(names[0] if names else "127.0.0.1")
    made = _unsigned(subject, subject, key, names).add_extension(_AUTHORITY, critical=True).sign(key, hashes.SHA256())
    certificate = _write(folder / "page.crt", made)
    return Certificate(certificate, _write_key(folder / "page.key", key), certificate)


def make_certificate_of_plain_authority(folder: Path) -> Certificate:
    """One for 127.0.0.1, of an authority without key usage and key identifiers. Writes authority.crt, too."""
    key, authority_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _subject("kubernetes")
    trusted = (
        _unsigned(authority, authority, authority_key)
        .add_extension(_AUTHORITY, critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    made = _unsigned(_subject("127.0.0.1"), authority, key).sign(authority_key, hashes.SHA256())
    return Certificate(
        _write(folder / "page.crt", made),
        _write_key(folder / "page.key", key),
        _write(folder / "authority.crt", trusted),
    )


_AUTHORITY = x509.BasicConstraints(ca=True, path_length=None)


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _unsigned(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, names: tuple[str, ...] = ()
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address, *map(x509.DNSName, names)]), critical=False)
    )


def _write(path: Path, certificate: x509.Certificate) -> Path:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> Path:
    plain = serialization.NoEncryption()
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return path


def strict(make: Callable[..., ssl.SSLContext]) -> Callable[..., ssl.SSLContext]:
    """A function that makes contexts as strict as those of Python 3.13, from one that makes contexts."""

    def make_strict(*arguments: object, **options: object) -> ssl.SSLContext:
        made = make(*arguments, **options)
        made.verify_flags |= ssl.VERIFY_X509_STRICT
        return made

    return make_strict


@contextlib.contextmanager
def tls_in_front_of(server: int | Path, paths: Certificate) -> Iterator[int]:
    """The port on 127.0.0.1 that speaks TLS and passes all that it is sent to this port there, and back.

    server: its port, or the path of its Unix socket.
    """
    loop = asyncio.new_event_loop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(paths.certificate, paths.key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            to_server = (
                asyncio.open_unix_connection(server)
                if isinstance(server, Path)
                else asyncio.open_connection("127.0.0.1", server)
            )
            inner_reader, inner_writer = await to_server
            writers.append(inner_writer)
            await asyncio.gather(_pass_on(reader, inner_writer), _pass_on(inner_reader, writer))
        except OSError:
            pass
        finally:
            for one in writers:
                one.transport.abort()

    front = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield int(front.sockets[0].getsockname()[1])
    finally:
        asyncio.run_coroutine_threadsafe(_end(front), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while content := await reader.read(CHUNK_BYTES):
            writer.write(content)
            await writer.drain()
        writer.close()
        await writer.wait_closed()


async def _end(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    # What was closed is told so in the loop's next round.
    await asyncio.sleep(0)
