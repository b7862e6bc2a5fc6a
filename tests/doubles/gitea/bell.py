"""The double's webhooks: signed and named as Gitea does it, one after the other, each tried once."""

from __future__ import annotations

import hashlib
import hmac
import json
import queue
import threading
import uuid
from typing import Any

import requests

from tests.doubles.gitea.model import Model, Repo

SECONDS = 5
"""How long a delivery may take: Gitea's own default (DELIVER_TIMEOUT)."""

# What a hook's list of events calls `pull_request_comment` is, on the wire, a comment on an issue.
_ON_THE_WIRE = {
    "pull_request_comment": "issue_comment",
    "pull_request_review_approved": "pull_request_approved",
    "pull_request_review_rejected": "pull_request_rejected",
    "pull_request_review_comment": "pull_request_comment",
}


class Bell:
    """Rings whoever has a hook. rung: (event on the wire, status that was answered; 0 for none), in order."""

    def __init__(self, model: Model) -> None:
        self.rung: list[tuple[str, int]] = []
        self._waiting: queue.Queue[tuple[str, Repo, dict[str, Any]] | None] = queue.Queue()
        model.told.append(lambda event, repo, about: self._waiting.put((event, repo, about)))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Return when all that has happened so far was told."""
        self._waiting.join()

    def close(self) -> None:
        self._waiting.put(None)
        self._thread.join(10)

    def _run(self) -> None:
        while (next_one := self._waiting.get()) is not None:
            event, repo, about = next_one
            for hook in list(repo.hooks):
                if hook["active"] and event in hook["events"]:
                    self._ring(hook["config"], event, repo, about)
            self._waiting.task_done()

    def _ring(self, config: dict[str, str], event: str, repo: Repo, about: dict[str, Any]) -> None:
        full_name = f"{repo.owner}/{repo.name}"
        body = json.dumps({**about, "repository": {"id": repo.number, "full_name": full_name}}).encode()
        name = _ON_THE_WIRE.get(event, event)
        signature = hmac.new(config["secret"].encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json", "X-Gitea-Event": name, "X-Gitea-Event-Type": event,
            "X-Gitea-Delivery": str(uuid.uuid4()), "X-Gitea-Signature": signature,
            "X-Hub-Signature-256": f"sha256={signature}",
        }  # fmt: skip
        try:
            with requests.Session() as session:
                session.trust_env = False
                status = session.post(config["url"], data=body, headers=headers, timeout=SECONDS).status_code
        except requests.RequestException:
            status = 0
        self.rung.append((name, status))
