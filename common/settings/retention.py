"""How long rows are kept that only grow in number. The sweep deletes older ones in small batches."""

from __future__ import annotations

from dataclasses import dataclass

from common.settings.environment import Environment

LONGEST_DAYS = 36_500
JOB_DAYS = 7
"""Jobs that are done: they only say that something happened, and events say that, too. Failed jobs stay until they are
retried, or fail again."""
DELIVERY_DAYS = 7
"""Deliveries of the outgoing webhook that are over: long enough for somebody to notice that a receiver was down, and to
send them again."""


@dataclass(frozen=True)
class RetentionSettings:
    """All in days, 1 at least. AIWORKER_KEEP_DAYS sets the first three alike."""

    transcript_days: int = 30
    """Transcripts of runs and logs of agents. By far the largest table: some hundred entries a run. 30 by default:
    after that, questions about a task are answered by its diff and its comments."""
    log_days: int = 90
    """Test runs of groups and results of the default branch, with their logs, 90 by default, about the time between two
    larger releases."""
    preview_days: int = 90
    """Rows of previews that have ended, and pictures of previews, 90 by default. Their processes and pods are gone long
    before; deployments to staging and production are always kept, because rollbacks need them."""
    event_days: int | None = None
    """Events (AIWORKER_KEEP_EVENT_DAYS), which are also the audit. None: they are always kept, the default, because
    nothing else says who did what."""

    @classmethod
    def from_env(cls, env: Environment) -> RetentionSettings:
        """Raises Misconfigured, one line that names the variable."""
        days = env.optional_number("AIWORKER_KEEP_DAYS", least=1, most=LONGEST_DAYS)
        return cls(
            transcript_days=days or cls.transcript_days,
            log_days=days or cls.log_days,
            preview_days=days or cls.preview_days,
            event_days=env.optional_number("AIWORKER_KEEP_EVENT_DAYS", least=1, most=LONGEST_DAYS),
        )
