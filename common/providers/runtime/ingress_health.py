"""Health check of a cluster's app through the ingress, by the same rule as in the local runtime.

An app is healthy if its status is below 400, following redirects on its own host only, and the body contains the
required text. Checked from when a version's pods are ready until it is live; then the kubelet's readiness probe takes
over.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import requests

PROBE_SECONDS = (2.0, 5.0)
MOST_REDIRECTS = 5
MOST_BYTES = 2**20


@dataclass(frozen=True)
class IngressRoute:
    """address: the ingress to send requests to. url: the app's public address, whose host is sent as Host header."""

    address: str
    url: str


def wrong_answer(route: IngressRoute, path: str, contains: str | None) -> str | None:
    """Return what is wrong with the app's answer, as a clause to follow the address; None if the app is healthy."""
    own = urlsplit(route.url)
    try:
        for _ in range(MOST_REDIRECTS + 1):
            with requests.get(
                route.address + path,
                headers={"Host": own.netloc},
                timeout=PROBE_SECONDS,
                allow_redirects=False,
                stream=True,
            ) as answer:
                location = answer.headers.get("Location") if 300 <= answer.status_code < 400 else None
                if location is None:
                    return _wrong(answer, contains)
            target = urlsplit(urljoin(route.url + path, location))
            if target.hostname != own.hostname:
                return f"it redirects to another host ({target.netloc})"
            next_path = (target.path or "/") + (f"?{target.query}" if target.query else "")
            if next_path == path and target.scheme != urlsplit(route.address).scheme:
                # The ingress redirects every request to TLS, and the configured address has none: the check ends here.
                return None if contains is None else f"it redirects to {target.scheme}, which is not checked"
            path = next_path
    except requests.RequestException as error:
        return f"it does not answer ({type(error).__name__})"
    return f"it answers with more than {MOST_REDIRECTS} redirects"


def _wrong(answer: requests.Response, contains: str | None) -> str | None:
    if answer.status_code >= 400:
        return f"it answers {answer.status_code}"
    if contains is None:
        return None
    body = bytearray()
    for chunk in answer.iter_content(64 * 1024):
        body += chunk
        if len(body) >= MOST_BYTES:
            break
    return None if contains.encode() in body else f"it answers without the text {contains!r}"
