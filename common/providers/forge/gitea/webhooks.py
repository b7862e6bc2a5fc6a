"""The webhook by which the server reports changes. Its content is not trusted: the receiver reads the state itself."""

from __future__ import annotations

from common.providers.forge.gitea.client import Client
from common.providers.forge.gitea.repository_setup import Found

EVENTS = (
    "push",
    "pull_request",
    "pull_request_comment",
    "pull_request_review_approved",
    "pull_request_review_rejected",
    "pull_request_review_comment",
    "issue_comment",
    # Older servers ignore names that they do not know.
    "status",
)


def ensure(client: Client, found: Found, *, url: str, secret: str) -> None:
    """Ensure exactly one webhook to this address, with this secret. Safe to repeat."""
    config = {"url": url, "content_type": "json", "secret": secret}
    hooks = [hook for hook in client.pages(f"{found.path}/hooks") if (hook.get("config") or {}).get("url") == url]
    wanted: dict[str, object] = {"active": True, "config": config, "events": list(EVENTS)}
    if not hooks:
        client.call("POST", f"{found.path}/hooks", body={"type": "gitea", **wanted})
        return
    # The secret can't be read back, so it is always written: our key may have changed.
    client.call("PATCH", f"{found.path}/hooks/{hooks[0]['id']}", body=wanted)
    for surplus in hooks[1:]:
        client.call("DELETE", f"{found.path}/hooks/{surplus['id']}", accept=(404,))
