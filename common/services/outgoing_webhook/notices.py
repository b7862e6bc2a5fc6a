"""Which events the outgoing webhook tells of, and in which words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from common.models.delivery import Deployment, TaskGroup
from common.models.journal import EventRow
from common.models.project import Project
from common.models.task import Task
from common.settings import settings
from common.transaction import Transaction
from common.values.delivery.notice import NoticeKind
from common.values.runs.parking import Parked
from common.values.states import Environment, GroupState, Phase, TaskState

LONGEST_DETAIL = 1000
"""Characters of a question or reason: chat programs cut longer messages off, or refuse them."""

_AT_NAME = re.compile(r"@(?=\w)")
_BEFORE_ADDRESS = re.compile(r"\](?=[(:])")


@dataclass(frozen=True)
class Notice:
    """What one event says to people. sentence: without the project and the link. detail: the question or reason."""

    kind: NoticeKind
    sentence: str
    title: str
    path: str
    detail: str | None = None
    about: Mapping[str, str] = field(default_factory=dict)


Data = Mapping[str, str]
Reader = Callable[[Transaction, Data], Notice | None]


def notice_of(tx: Transaction, event: EventRow) -> Notice | None:
    """What the event says to people; None if nobody has to do anything, or what it is about is gone."""
    return READERS[event.name](tx, json.loads(event.data)["data"])


def body_of(notice: Notice, event: EventRow, project: Project) -> str:
    """The JSON text to send: `type`, `timestamp` and `data` as Standard Webhooks has them, and `text` for chats."""
    link = settings().web.public_url + notice.path.format(project=quote(project.id))
    at = event.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    data = {
        "kind": notice.kind, "projectId": project.id, "projectName": project.name, "title": notice.title,
        "detail": notice.detail, "link": link, "event": event.name, "seq": event.seq, **notice.about,
    }  # fmt: skip
    text = chat_text(f"{project.name}: {notice.sentence}", notice.detail, link)
    return json.dumps({"type": f"aiworker.{notice.kind}", "timestamp": at, "text": text, "data": data})


def chat_text(sentence: str, detail: str | None, link: str) -> str:
    """The message for people. What agents and people wrote can neither call everybody nor hide a link in it."""
    lines = [sentence] if not detail else [sentence, detail]
    return "\n".join([*(_harmless(line) for line in lines), link])


def _harmless(text: str) -> str:
    # Slack reads <!channel> and <address|words>, Mattermost @all and @channel. Markdown shows only the words of
    # [words](address) and ![words](address), and of [words][name] or [name] where [name]: address follows.
    text = _BEFORE_ADDRESS.sub("]\u200b", text.replace("<", "‹").replace(">", "›"))
    return _AT_NAME.sub("@\u200b", text)


def _question(tx: Transaction, data: Data) -> Notice | None:
    return _of_task(tx, data, NoticeKind.QUESTION, "“{title}” asks", data["question"], questionId=data["questionId"])


def _reminder(tx: Transaction, data: Data) -> Notice | None:
    sentence = "“{title}” still waits for an answer"
    return _of_task(tx, data, NoticeKind.QUESTION, sentence, data["question"], questionId=data["questionId"])


def _task_moved(tx: Transaction, data: Data) -> Notice | None:
    if data["newState"] == TaskState.READY_TO_TEST:
        return _of_task(tx, data, NoticeKind.REVIEW, "“{title}” is ready to test", None)
    if data["newState"] == TaskState.FAILED:
        task = tx.session.get(Task, data["taskId"])
        return _of_task(tx, data, NoticeKind.FAILED, "“{title}” failed", task.error if task else None)
    return None


def _task_parked(tx: Transaction, data: Data) -> Notice | None:
    if "parked" not in data["changed"]:
        return None
    task = tx.session.get(Task, data["taskId"])
    if task is None or task.phase is not Phase.PARKED or task.parked_code != Parked.CAP:
        return None
    return _of_task(tx, data, NoticeKind.PARKED, "“{title}” reached a cap of spending", task.parked_reason)


def _of_task(
    tx: Transaction, data: Data, kind: NoticeKind, sentence: str, detail: str | None, **about: str
) -> Notice | None:
    task = tx.session.get(Task, data["taskId"])
    if task is None:
        return None
    path = f"/#/projects/{{project}}/tasks/{quote(task.id)}"
    said = sentence.replace("{title}", task.title)
    return Notice(kind, said, task.title, path, _cut(detail), {"taskId": task.id, **about})


def _group_updated(tx: Transaction, data: Data) -> Notice | None:
    group = tx.session.get(TaskGroup, data["taskGroupId"])
    if group is None or "error" not in data["changed"] or group.state is not GroupState.MERGED or group.error is None:
        return None
    return _of_group(group, NoticeKind.RELEASE, "the release “{title}” did not go to staging", group.error)


def _of_group(group: TaskGroup, kind: NoticeKind, sentence: str, detail: str | None) -> Notice:
    title = group.name or group.branch.removeprefix("release/")
    path = f"/#/projects/{{project}}/groups/{quote(group.id)}"
    return Notice(kind, sentence.replace("{title}", title), title, path, _cut(detail), {"taskGroupId": group.id})


def _group_moved(tx: Transaction, data: Data) -> Notice | None:
    group = tx.session.get(TaskGroup, data["taskGroupId"])
    if group is None:
        return None
    new, waits_for_production = data["newStatus"], group.target_branch == Environment.PRODUCTION
    if new in {GroupState.FAILED, GroupState.CONFLICT}:
        kind, said = NoticeKind.RELEASE, "the release “{title}” failed"
    elif new == GroupState.STAGING and waits_for_production:
        kind, said = NoticeKind.RELEASE, "the release “{title}” runs on staging and waits for production"
    elif new == GroupState.PRODUCTION:
        kind, said = NoticeKind.FINISHED, "the release “{title}” runs in production"
    else:
        return None
    return _of_group(group, kind, said, group.error if new in {GroupState.FAILED, GroupState.CONFLICT} else None)


def _deployment_failed(tx: Transaction, data: Data) -> Notice | None:
    """A rollback that failed. A group's own deployment is told of as its group, and a preview concerns nobody else."""
    deployment = tx.session.get(Deployment, data["deploymentId"])
    if deployment is None or not deployment.rollback_of:
        return None
    title = f"rollback of {data['environment']}"
    path = "/#/projects/{project}/deployments"
    about = {"deploymentId": deployment.id}
    return Notice(NoticeKind.RELEASE, f"the {title} failed", title, path, _cut(data["error"]), about)


def _version_failing(tx: Transaction, data: Data) -> Notice | None:
    return _of_live(tx, data, f"the version in {data['environment']} fails", data["error"])


def _rolled_back(tx: Transaction, data: Data) -> Notice | None:
    """By the platform alone: a person who rolls back knows it."""
    if "reason" not in data:
        return None
    return _of_live(tx, data, f"{data['environment']} goes back to {data['commitSha'][:12]} by itself", data["reason"])


def _of_live(tx: Transaction, data: Data, sentence: str, detail: str) -> Notice | None:
    """Of a deployment to staging or production."""
    if tx.session.get(Deployment, data["deploymentId"]) is None:
        return None
    path, about = "/#/projects/{project}/deployments", {"deploymentId": data["deploymentId"]}
    return Notice(NoticeKind.RELEASE, sentence, data["environment"], path, _cut(detail), about)


def _base_tested(_tx: Transaction, data: Data) -> Notice | None:
    if not data["isRed"]:
        return None
    commit = data["commitSha"]
    sentence = f"the tests of the default branch fail at {commit[:12]}, and no task is to blame"
    path, about = "/#/projects/{project}/tests", {"commitSha": commit}
    return Notice(NoticeKind.BASE_IS_RED, sentence, "default branch", path, _cut(data["reason"]), about)


def _quarantined(_tx: Transaction, data: Data) -> Notice | None:
    """By a rule alone: of a quarantine by hand, whoever it concerns is told by whoever began it."""
    if "owner" not in data:
        return None
    test, owner = data["test"], data["owner"]
    sentence = f"the test {test} went into quarantine by the project's rule, for which {owner} answers"
    about = {"test": test, "until": data["until"], "owner": owner}
    return Notice(NoticeKind.QUARANTINED, sentence, test, "/#/projects/{project}/tests", _cut(data["reason"]), about)


def _cut(text: str | None) -> str | None:
    if not text:
        return None
    return text if len(text) <= LONGEST_DETAIL else f"{text[: LONGEST_DETAIL - 1]}…"


READERS: dict[str, Reader] = {
    "task:needs_input": _question,
    "question:reminded": _reminder,
    "task:status_changed": _task_moved,
    "task:updated": _task_parked,
    "task-group:status_changed": _group_moved,
    "task-group:updated": _group_updated,
    "deploy:failed": _deployment_failed,
    "deploy:failing": _version_failing,
    "deploy:rollback_requested": _rolled_back,
    "project:base_tested": _base_tested,
    "test:quarantined": _quarantined,
}
"""By the event's name. Other events ask nothing of anybody."""
