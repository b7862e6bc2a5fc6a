"""TLS to Redis, the same for both libraries that speak to it: by itself, kombu would check no certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from common.machine.certificates import bundle
from common.machine.lazy_modules import lazy_module

if TYPE_CHECKING:
    import ssl

    from redis import connection
else:
    ssl, connection = lazy_module("ssl"), lazy_module("redis.connection")


def tls_options(url: str) -> dict[str, object]:
    """What a connection to this address is given for TLS, as redis-py names it; empty unless it is `rediss://…`.

    The certificate and the server's name are checked, unless the address has options that say otherwise, by the
    authorities that this machine knows or `ssl_ca_certs` names. Plain authorities are taken, too: see
    common.network.trust.accept_plain_authorities. Raises ValueError for an option that can't be used.
    """
    if not url.startswith("rediss://"):
        return {}
    read = connection.parse_url(url)  # type: ignore[no-untyped-call]
    given = {name: value for name, value in read.items() if name.startswith("ssl_")}
    return {
        "ssl_cert_reqs": "required",
        "ssl_ca_certs": bundle(),
        "ssl_exclude_verify_flags": [ssl.VERIFY_X509_STRICT],
        **given,
    }


def without_tls_options(url: str) -> str:
    """The address without those of its options that `tls_options` returns: kombu would take them for all there are."""
    parts = urlsplit(url)
    others = [(name, value) for name, value in parse_qsl(parts.query) if not name.startswith("ssl_")]
    return urlunsplit(parts._replace(query=urlencode(others)))
