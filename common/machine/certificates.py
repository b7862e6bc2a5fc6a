"""Where this machine keeps the certificates of the authorities that it trusts, and how programs are told of them."""

from __future__ import annotations

import os
from collections.abc import Sequence

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
)
"""Where distributions keep all of them in one file."""
CHOSEN_ALONE = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Name a file or folder; the first that is set. As for the library requests, nothing else is trusted then."""
CHOSEN = (*CHOSEN_ALONE, "SSL_CERT_FILE")
"""Programs are told of the file that the first of these names."""
_FOR_PROGRAMS = (
    "SSL_CERT_FILE",  # OpenSSL, Python, Go, Ruby
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "NODE_EXTRA_CA_CERTS",
    "NPM_CONFIG_CAFILE",
    "CARGO_HTTP_CAINFO",
    "GIT_SSL_CAINFO",
)


def first_named(names: Sequence[str]) -> tuple[str, str] | None:
    """The first of these variables that is set, and its value; None: none is."""
    return next(((name, os.environ[name]) for name in names if os.environ.get(name)), None)


def chosen_bundle() -> str | None:
    """The file that this process's environment names instead of the machine's; None: it names none that is there."""
    named = first_named(CHOSEN)
    return os.path.abspath(named[1]) if named is not None and os.path.isfile(named[1]) else None


def bundle() -> str | None:
    """The file with all certificates of authorities; None if this machine has none."""
    return chosen_bundle() or next((path for path in BUNDLES if os.path.isfile(path)), None)


def certificate_variables(file: str | None) -> dict[str, str]:
    """The variables by which programs find a file of certificates; none if there is no file."""
    return {} if file is None else dict.fromkeys(_FOR_PROGRAMS, file)
