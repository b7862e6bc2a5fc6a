"""TLS towards other servers: what this machine trusts is trusted, not only what the library requests brings along.

So an authority of one's own has to be made known in one place, the machine's, as for git and curl.
"""

from __future__ import annotations

import functools
import os
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
from requests import PreparedRequest
from requests.adapters import DEFAULT_CA_BUNDLE_PATH, HTTPAdapter

from common.machine.certificates import CHOSEN_ALONE, bundle, first_named

if TYPE_CHECKING:
    from requests.adapters import _HostParams, _PoolKwargs

_REMEDY = "make its authority known to this machine, or name a file with it in SSL_CERT_FILE"
_UNKNOWN_AUTHORITY = {18, 19, 20, 21}
"""X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT to X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE (OpenSSL's x509_vfy.h)."""


def trusted_context() -> ssl.SSLContext:
    """What trusts the machine's authorities, or those of SSL_CERT_FILE and SSL_CERT_DIR, and those of requests.

    With REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE, those alone. Read again when the file has changed. Raises OSError if the
    file can't be read. Threads may share it; nobody changes it.
    """
    named = first_named(CHOSEN_ALONE)
    alone = named[1] if named is not None else None
    file = alone or bundle()
    try:
        changed_ns = os.stat(file).st_mtime_ns if file is not None else 0
        return _context(alone, changed_ns, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    except OSError as error:
        if named is None:
            raise
        raise OSError(f"the file that {named[0]} names can't be read as certificates: {alone}") from error


def accept_plain_authorities(context: ssl.SSLContext) -> ssl.SSLContext:
    """Accept authorities whose certificates lack key usage or key identifiers, and return the context.

    Python refuses these from 3.13 on (VERIFY_X509_STRICT); git, curl, kubectl and older Pythons do not. Those of EKS
    and of older GKE clusters have no key identifiers, one made with `openssl req -x509` names no key usage:
    https://github.com/kubernetes-client/python/issues/2394
    """
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


@functools.lru_cache(maxsize=8)
def _context(alone: str | None, _changed_ns: int, _file: str | None, _folder: str | None) -> ssl.SSLContext:
    # OpenSSL reads the other two itself.
    if alone is not None:
        is_folder = os.path.isdir(alone)
        chosen = ssl.create_default_context(cafile=None if is_folder else alone, capath=alone if is_folder else None)
        return accept_plain_authorities(chosen)
    context = accept_plain_authorities(ssl.create_default_context())
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    return context


class TrustingAdapter(HTTPAdapter):
    """Sends requests over TLS as `trusted_context` says, unless a request is given a file (`verify`) of its own."""

    def build_connection_pool_key_attributes(
        self,
        request: PreparedRequest,
        verify: bool | str,
        cert: tuple[str, str] | str | None = None,
    ) -> tuple[_HostParams, _PoolKwargs]:
        host, options = super().build_connection_pool_key_attributes(request, _is_ours(verify) or verify, cert)
        if _is_ours(verify) and host["scheme"] == "https":
            try:
                options["ssl_context"] = trusted_context()
            except OSError as error:
                raise requests.exceptions.SSLError(str(error), request=request) from error
        return host, options

    def cert_verify(
        self, conn: object, url: str, verify: bool | str | None, cert: tuple[str, str] | str | None
    ) -> None:
        # The base would add the certificates of requests to each connection.
        if not _is_ours(verify):
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]


def _is_ours(verify: bool | str | None) -> bool:
    """Whether `trusted_context` trusts what is asked for: requests itself names the file that stands alone."""
    if not isinstance(verify, str):
        return verify is True
    named = first_named(CHOSEN_ALONE)
    return named is not None and named[1] == verify


def trusting_session() -> requests.Session:
    """A session that trusts what this machine trusts."""
    session = requests.Session()
    session.mount("https://", TrustingAdapter())
    return session


def describe_tls_failure(error: requests.exceptions.SSLError | ssl.SSLError, url: str) -> str:
    """What is wrong with a server's TLS, as a sentence without its full stop that names the server and a remedy."""
    host = urlsplit(url).netloc.rpartition("@")[2]
    reason = innermost(error)
    if isinstance(reason, ssl.SSLCertVerificationError):
        why = reason.verify_message.rstrip(".")
        says = f"the certificate of {host} is not trusted ({why})"
        is_unknown = reason.verify_code in _UNKNOWN_AUTHORITY
        return f"{says}; {_REMEDY}" if is_unknown else says
    if isinstance(reason, ssl.SSLError):
        return f"{host} does not speak TLS as it should ({reason.reason or reason})"
    return str(reason)


def innermost(error: BaseException) -> BaseException:
    """What requests and urllib3 have wrapped in their errors, which says more than its wrappers."""
    while isinstance(inner := getattr(error, "reason", None) or (error.args[0] if error.args else None), BaseException):
        error = inner
    return error
