"""Records the examples of the API's description from a run of every operation: `make examples`.

One instance of its own, with a provider of models and an agent that the test plays: tests/e2e/example_story.py.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import requests

from tests.e2e.contract.caller import Caller
from tests.e2e.contract.platform import Platform
from tests.e2e.example_story import Teller
from tests.e2e.instance import running
from tests.e2e.origin import served_repository
from tests.e2e.recording import Recorder
from tests.web.gateway.upstream import upstream
from web.http.description.operations import EXAMPLES

NOT_CALLED = {"receive_gitea", "read_metrics"}
"""The first belongs to another forge; the example of the second is in the program."""


def record(to: Path) -> list[str]:
    """Run the story on an instance of its own, and write what was recorded. Returns the operations that are missing."""
    with (
        tempfile.TemporaryDirectory(prefix="aiworker-examples-") as name,
        served_repository(Path(name)) as import_url,
        upstream() as provider,
    ):
        allowed = urlsplit(import_url).netloc
        hook = urlsplit(provider.url).netloc
        with running(
            Path(name),
            AIWORKER_AGENTS="0",
            AIWORKER_IMPORT_ALLOW=allowed,
            AIWORKER_OUTGOING_ALLOW=hook,
            AIWORKER_CHROMIUM="",
        ) as instance:
            with requests.Session() as session:
                platform = Platform(instance, session, Path(name), import_url)
                recorder = Recorder(platform.anybody.get("/openapi.json"))
                me = Caller(recorder.session, instance.url, platform.admin.token)
                teller = Teller(platform, me, provider)
                teller.tell()
            plain = {
                instance.url: "http://localhost:3000",
                import_url: "https://git.example/acme/shop.git",
                provider.url: "https://api.anthropic.com",
                "http://127.0.0.1:": "http://localhost:",
                f"localhost:{instance.port}": "localhost:3000",
                name: "/srv/aiworker",
                "127.0.0.1": "localhost",
                teller.agent.capability: "browser",
                str(teller.agent.registration["agent"]["podName"]): "agent-host-1",
            }
            to.mkdir(exist_ok=True)
            recorder.write(to, plain)
            return sorted(set(recorder.missing()) - NOT_CALLED)


def main() -> int:
    missing = record(EXAMPLES)
    if missing:
        print(f"not called: {', '.join(missing)}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
