"""Whether an app of the cluster answers well through its ingress: the same rule as the local runtime's.

The status is below 400, over redirects on the app's own host alone, and the body holds the text that was asked for.
This is asked when a version has its pods ready, until it is live; then the kubelet's readiness probe watches it.
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
    """address: where the ingress is asked. url: the app's own address, whose host is named to the ingress."""

    address: str
    url: str


def wrong_answer(way: IngressRoute, path: str, contains: str | None) -> str | None:
    """What is wrong with what it answers, the end of a sentence that begins with the address; None: it is healthy."""
    own = urlsplit(way.url)
    try:
        for _ in range(MOST_REDIRECTS + 1):
            with requests.get(
                way.address + path,
                headers={"Host": own.netloc},
                timeout=PROBE_SECONDS,
                allow_redirects=False,
                stream=True,
            ) as answer:
                location = answer.headers.get("Location") if 300 <= answer.status_code < 400 else None
                if location is None:
                    return _wrong(answer, contains)
            target = urlsplit(urljoin(way.url + path, location))
            if target.hostname != own.hostname:
                return f"it redirects to another host ({target.netloc})"
            led = (target.path or "/") + (f"?{target.query}" if target.query else "")
            if led == path and target.scheme != urlsplit(way.address).scheme:
                # The ingress itself sends everybody to TLS, and is not asked that way: nothing more can be seen.
                return None if contains is None else f"it redirects to {target.scheme}, where the ingress is not asked"
            path = led
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
