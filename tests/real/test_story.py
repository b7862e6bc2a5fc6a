"""The whole story on a started product, its repositories on the real Gitea and what runs in the real cluster.

Either may be missing: then versions run as processes of this machine, or the repositories lie on the Gitea double. (The
local forge's repositories have no address that a pod could clone from, so the runtime refuses it; the double's address
is of loopback, so there only simulated nodes get on.) Nothing is needed of the cluster but that pods become ready and
Jobs end: what a page says is read only where AIWORKER_KUBE_HEALTH=http says that there is an ingress and that programs
really run. Everything has names of its own, and is removed whatever happened.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from common.providers.forge.gitea.run_users import username_of
from common.providers.runtime.cluster.client import Cluster
from tests.e2e.instance import running, wait_until
from tests.e2e.origin import served_repository
from tests.e2e.remote_story import RemoteStory, tell_short_story
from tests.real.servers import Names, Server, environ_of, namespaces_of, places_of

pytestmark = pytest.mark.timeout(1800)

GONE_SECONDS = 300


def _users_of_runs(forge: Server, story: RemoteStory) -> list[str]:
    """The users on the server that were made for runs of this instance; others may use the server too."""
    known = story.run_ids()
    return [user["login"] for user in forge.client.pages("/admin/users") if user["login"] in map(username_of, known)]


def test_the_story_holds(tmp_path: Path, names: Names, forge: Server, cluster: Cluster | None) -> None:
    environ = environ_of(forge, names)
    with (
        served_repository(tmp_path) as origin,
        running(tmp_path, AIWORKER_IMPORT_ALLOW=urlsplit(origin).netloc, **environ) as instance,
    ):
        story = RemoteStory(instance, origin, places_of(forge, names, environ))
        try:
            tell_short_story(story)
            wait_until("the users of runs to be gone", lambda: _users_of_runs(forge, story) == [])
        except AssertionError as error:
            raise AssertionError(f"{error}\n\n{instance.said()}") from error
        finally:
            if story.project:
                story.delete_project()
            story.close()
        assert forge.client.get(f"/orgs/{names.owner}/repos").body == []
        if cluster is not None:
            wait_until("the namespace to be gone", lambda: namespaces_of(cluster, names) == [], GONE_SECONDS)
        assert instance.stop() == 0
