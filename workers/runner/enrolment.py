"""The agent's identity: its id and token, which it gets by enrolling and stores in the work directory.

The enrolment token is read from its file only when it is needed, so the file may be replaced while the agent runs. The
agent's own token is stored with mode 0600 and used until the platform answers 401.
"""

from __future__ import annotations

import contextlib
import json
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from common.errors import Misconfigured, NotFound, ProviderRefused, ProviderUnavailable, Unauthenticated
from common.machine.files import replace_file
from workers.runner.drivers.offer import DriverOffer
from workers.runner.platform_client.backoff import Backoff
from workers.runner.platform_client.client import AgentApi, RunOver, Wire
from workers.runner.platform_client.setup import Setup

logger = logging.getLogger("workers.runner")

VERSION = "1.0.0"
_OLDER = "the platform is of an older version than this agent: renew the platform first"


def remedy(error: Exception, otherwise: str = "") -> str:
    """What to do about a refusal of the platform's; empty if there is nothing to say.

    A platform that does not know a field which this agent sends is of an older version.
    """
    return _OLDER if str(error).endswith("Unknown field") else otherwise


@dataclass(frozen=True)
class Identity:
    agent_id: str
    token: str = field(repr=False)


@dataclass(frozen=True)
class Enrolment:
    """How this agent enrols. `sleep` waits that many seconds; it may raise to stop waiting.

    kept_path: the file with the identity. token_path None: the identity was put there by the platform, and the agent
    never enrols itself.
    """

    url: str
    token_path: Path | None
    kept_path: Path
    offer: DriverOffer
    setup: Setup
    sleep: Callable[[float], None]

    def kept(self) -> Identity | None:
        """Return the stored identity for this platform's address; None if there is none."""
        try:
            kept = json.loads(self.kept_path.read_text(encoding="utf-8"))
            return Identity(str(kept["agentId"]), str(kept["token"])) if kept["url"] == self.url else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def enrol(self) -> Identity:
        """Register and store the new identity. Retries without a limit while the platform is unavailable.

        Raises Misconfigured, with a one-line message, if there is no enrolment token, or the platform rejects it or
        what the agent says of itself.
        """
        if self.token_path is None:
            raise Misconfigured(f"the platform at {self.url} does not know the agent in {self.kept_path} (any more)")
        backoff, enrolment_id = Backoff(), self._enrolment_id()
        while True:
            token = self._enrolment_token(self.token_path)
            try:
                with Wire(self.url) as wire:
                    agent_id, agent_token = AgentApi(wire).register(
                        token, driver=self.offer.first, drivers=self.offer.report, setup=self.setup,
                        enrolment_id=enrolment_id,
                    )  # fmt: skip
            except ProviderUnavailable as error:
                logger.warning("platform is unavailable", extra={"reason": str(error)})
                self.sleep(backoff.next_seconds(error))
            except Unauthenticated as error:
                raise Misconfigured(
                    f"the platform at {self.url} does not accept the enrolment token in {self.token_path} "
                    f"({error}); put a new one there: POST /api/agents/enrolment-tokens"
                ) from error
            except (NotFound, RunOver, ProviderRefused, KeyError, TypeError) as error:
                check = (
                    f"check its address, its name and capabilities, and that {self.token_path} holds an enrolment token"
                )
                raise Misconfigured(
                    f"the platform at {self.url} does not register this agent ({error}); {remedy(error, check)}"
                ) from error
            else:
                identity = Identity(agent_id, agent_token)
                self._keep(identity)
                return identity

    @property
    def _id_path(self) -> Path:
        return self.kept_path.with_name("enrolment-id.json")

    def _enrolment_id(self) -> str:
        """The id of this enrolment: an earlier process may have sent it and ended before it had the answer."""
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            kept = json.loads(self._id_path.read_text(encoding="utf-8"))
            if kept["url"] == self.url:
                return str(kept["enrolmentId"])
        made = secrets.token_urlsafe(32)
        # What can't be stored holds for this process.
        with contextlib.suppress(OSError):
            replace_file(self._id_path, json.dumps({"url": self.url, "enrolmentId": made}).encode(), is_synced=False)
        return made

    def _enrolment_token(self, path: Path) -> str:
        try:
            token = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not text"
            raise Misconfigured(f"the enrolment token {path} can't be read: {why}") from error
        if not token or not token.isascii() or not token.isprintable():
            raise Misconfigured(f"{path} contains no enrolment token; POST /api/agents/enrolment-tokens creates one")
        return token

    def _keep(self, identity: Identity) -> None:
        """Store the identity. If that is not possible, as on a full disk, it is this process's alone."""
        kept = {"url": self.url, "agentId": identity.agent_id, "token": identity.token}
        try:
            replace_file(self.kept_path, json.dumps(kept).encode(), is_synced=False)
            self._id_path.unlink(missing_ok=True)
        except OSError as error:
            facts = {"path": str(self.kept_path), "reason": error.strerror}
            logger.warning("the agent's identity can't be stored, so its next start enrols again", extra=facts)
