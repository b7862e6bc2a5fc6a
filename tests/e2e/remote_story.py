"""The story where repositories lie on a Gitea server and versions run in a cluster: what it sees, it sees there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from tests.e2e.instance import Instance, wait_until
from tests.e2e.story import Story, tell_first
from tests.e2e.story_tasks import SECOND
from tests.long_waits import LONG_WAIT_SECONDS


@dataclass(frozen=True)
class Places:
    """gitea: its address and a user's name and token, None with the local forge. ingress_url: where the hosts of apps
    lead, None where they are the addresses themselves. has_bodies: whether programs run, so that there is something to
    be read. health_seconds, name: the project's, None for the story's own.
    """

    gitea: tuple[str, str, str] | None = None
    ingress_url: str | None = None
    has_bodies: bool = True
    health_seconds: dict[str, int] | None = None
    name: str | None = None


class RemoteStory(Story):
    def __init__(self, instance: Instance, import_url: str, places: Places, *, quiet: bool = False) -> None:
        super().__init__(instance, import_url, quiet=quiet)
        self._places = places

    def import_project(self, **others: Any) -> None:
        chosen = {"healthSeconds": self._places.health_seconds, "name": self._places.name}
        super().import_project(**{name: value for name, value in chosen.items() if value}, **others)

    def clone_url(self) -> str:
        if self._places.gitea is None:
            return super().clone_url()
        url, login, token = self._places.gitea
        scheme, _, host = url.rstrip("/").partition("://")
        return f"{scheme}://{quote(login)}:{quote(token)}@{host}/{self.repository_name()}.git"

    def repository_name(self) -> str:
        """`owner/name`. What comes before it in the page's address is the server's own word for where it is."""
        return "/".join(urlsplit(self.project["giteaRepoUrl"]).path.split("/")[-2:])

    def look(self, who: str, url: str, expected: str) -> str:
        if not self._places.has_bodies:
            return "(what is not read: nodes are simulated)"
        if self._places.ingress_url is None:
            return super().look(who, url, expected)
        reply = requests.get(
            self._places.ingress_url, headers={"Host": urlsplit(url).netloc}, timeout=LONG_WAIT_SECONDS
        )
        saw = reply.text.strip()
        assert (reply.status_code, saw) == (200, expected), f"{who} answers {reply.status_code} {saw!r}"
        return saw

    def run_ids(self) -> list[str]:
        """Of all runs of the project's tasks."""
        tasks = self.api.get(f"/tasks?projectId={self.project['id']}")["tasks"]
        return [run["id"] for task in tasks for run in self.api.get(f"/tasks/{task['id']}")["task"]["runs"]]

    def delete_project(self) -> None:
        """The project is gone, and a second deletion is of nothing."""
        path = f"/projects/{self.project['id']}"
        if self.events is not None:
            self.events.close()
            self.events = None
        self.api.delete(path, 202)
        wait_until("the project to be gone", self._is_gone)
        self.api.delete(path, 404)
        self.say("Deleted", "and a second time there is nothing to delete")

    def _is_gone(self) -> bool:
        return self.project["id"] not in {one["id"] for one in self.api.get("/projects")["projects"]}


def tell_short_story(story: RemoteStory) -> None:
    """One task's whole way with a question and a rejection, a second one's, and back to the first."""
    tell_first(story)
    second = story.write_task("Be formal", SECOND.steps)
    story.wait_ready(second, "buenos dias")
    story.approve(second)
    group = story.group("Sprint 2", second)
    story.deploy(group, "staging", "buenos dias")
    live = story.deploy(group, "production", "buenos dias")
    story.roll_back(live, "hola, bienvenida")
