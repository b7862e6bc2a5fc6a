"""The tables. Only services, the transaction, the job queue and the outbox use them; web and workers may not."""

from __future__ import annotations

from common.models.account import ApiToken, EnrolmentToken, Login, User
from common.models.agent import Agent
from common.models.base import Base
from common.models.delivery import (
    CommitVerdict,
    Deployment,
    FlakyTest,
    GroupMember,
    GroupTest,
    HealthSpan,
    Receipt,
    TaskGroup,
    TestedCommit,
)
from common.models.journal import AuditSeal, EventRow, Feed, IdempotencyKey, Job, Mark
from common.models.project import Project, ProjectMember, Push
from common.models.run import LogEntry, Run, RunSession
from common.models.spend import ModelCall, ModelProvider
from common.models.task import (
    Attachment,
    Comment,
    PendingComment,
    PreviewPicture,
    Proposal,
    Question,
    Task,
    TaskCheck,
    TaskDependency,
    is_word_index,
)
from common.models.webhook import WebhookDelivery, WebhookPosition

__all__ = [
    "Agent",
    "ApiToken",
    "Attachment",
    "AuditSeal",
    "Base",
    "Comment",
    "CommitVerdict",
    "Deployment",
    "EnrolmentToken",
    "EventRow",
    "Feed",
    "FlakyTest",
    "GroupMember",
    "GroupTest",
    "HealthSpan",
    "IdempotencyKey",
    "Job",
    "LogEntry",
    "Login",
    "Mark",
    "ModelCall",
    "ModelProvider",
    "PendingComment",
    "PreviewPicture",
    "Project",
    "ProjectMember",
    "Proposal",
    "Push",
    "Question",
    "Receipt",
    "Run",
    "RunSession",
    "Task",
    "TaskCheck",
    "TaskDependency",
    "TaskGroup",
    "TestedCommit",
    "User",
    "WebhookDelivery",
    "WebhookPosition",
    "is_word_index",
]
