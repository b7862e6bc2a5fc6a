"""How a program ended, in words: tells a refusal of the model's provider from a failure of the program.

The programs report a provider's answer as text only, each in its own words, so the text decides.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from workers.runner.drivers.program import Classified, Ending, Exit

LONGEST_REASON = 500
_LONGEST_WORDS = 10_000
_LONGEST_WAIT = timedelta(days=14)
_STATUS = re.compile(
    r"(?:\b(?:status(?: code)?|error|http|code|failed with status|unexpected status|refused the call)\b\W{0,4}"
    r"|^|[\[(\"])"
    r"(4\d\d|5\d\d)\b",
    re.I | re.M,
)
_LIMIT = re.compile(
    r"rate.?limit|usage limit|hit your (?:\w+ )?limit|too many requests|quota|resource.?exhausted|overloaded"
    r"|high demand|at capacity|credit balance|insufficient.?(?:quota|funds|credits)|billing|budget",
    re.I,
)
_KEY = re.compile(
    r"invalid (?:x-)?api.?key|incorrect api key|authenticat|unauthori[sz]ed|permission.?denied|not logged in"
    r"|api.?key not valid|please run /login|forbidden|oauth token",
    re.I,
)
_UNREACHABLE = re.compile(
    r"econnrefused|econnreset|enotfound|etimedout|eai_again|connection (?:refused|error|reset|closed|failed)"
    r"|unable to connect|fetch failed|network error|socket hang up|error sending request|stream disconnected"
    r"|stream (?:closed|ended) (?:before|without)|request timed out|can't reach|connection\.? ?error"
    r"|internal server error|service unavailable|bad gateway|cannot connect|api_error",
    re.I,
)
_TOO_LONG = re.compile(
    r"prompt is too long|maximum context length|context.?length.?exceeded|context_window_exceeded"
    r"|exceeds? (?:the )?(?:model's )?context (?:window|limit|length)|room in the model's context window"
    r"|exceeds the maximum number of tokens|(?:request|payload|entity|content|body)\W{0,3}too\W{0,3}large",
    re.I,
)
_NO_MODEL = re.compile(
    r"model.?not.?found|\bmodels?\b\W.{0,80}(?:not found|not exist|is not supported)|does not offer the model"
    r"|no enabled model provider",
    re.I,
)
_OWN_LIMIT = re.compile(r"its limit is \S{1,30} \((?:maxTokens|maxCostUsd)\)")
"""As the gateway refuses a call of a run that has reached one of its limits."""
# OpenCode tells the name of its error instead of the status.
_FAULT = re.compile(r"APIError|internal server error|service unavailable|bad gateway")
_EPOCH = re.compile(r"(?:limit reached|resets?(?: at)?)\W{1,3}(1[6-9]\d{8}|[2-4]\d{9})\b", re.I)
_SPAN = re.compile(
    r"(?:try again|retry|retry.?after|retry.?delay|available)\W{0,4}(?:in|after)?\W{0,3}"
    r"((?:\d+(?:\.\d+)? ?(?:ms|h|m|s)?(?:ours?|in(?:ute)?s?|ec(?:ond)?s?)?,? ?){1,3})",
    re.I,
)
_PART = re.compile(r"(\d+(?:\.\d+)?) ?(ms|h|m|s)?", re.I)
_UNIT_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "": 1.0}
_CLOCK = re.compile(r"resets?(?: at)? (\d{1,2})(?::(\d\d))? ?(am|pm)?(?: \((UTC|GMT)\))?", re.I)
_STAMP = re.compile(
    r"(?:resets?|until|try again at|after)\W{1,4}(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00))"
)


def classify_exit(exit: Exit, *, program: str, now: datetime | None = None) -> Classified:  # noqa: A002
    """The usual classification: an open question, a whole turn, the provider's refusal, else broken.

    program: its title, for the reason. now: aware; the present if None.
    """
    if exit.is_question_open:
        return Classified(Ending.QUESTION, "A question is waiting for its answer.")
    if exit.end and exit.end.ok and exit.code == 0:
        return Classified(Ending.DONE)
    said = exit.end.text if exit.end and not exit.end.ok else ""
    found = refusal(said or _last_errors(exit), program=program, now=now)
    if found:
        return found
    if said:
        return Classified(Ending.BROKEN, f"{program} failed: {shortened(said)}")
    how = f"{program} exited with {exit.code}"
    if exit.code > 128:
        how = f"{program} was killed by signal {exit.code - 128}"
    elif exit.code == 0:
        how = f"{program} ended without a result"
    last = shortened(_last_line(exit.stderr))
    return Classified(Ending.BROKEN, f"{how}{f': {last}' if last else ''}.")


def _last_errors(exit: Exit) -> str:  # noqa: A002
    """What it printed as errors that may be why it ended: not what it had worked on after, nor if a signal ended it."""
    if exit.code > 128:
        return ""
    return exit.stderr if exit.late_stderr is None else exit.late_stderr


def refusal(said: str, *, program: str, now: datetime | None = None) -> Classified | None:
    """What a text says about the model's provider; None if it says nothing of it."""
    said = said[-_LONGEST_WORDS:]
    if not said:
        return None
    status = _status(said)
    words = shortened(said)
    if status in (401, 403) or (status < 500 and _KEY.search(said) and not _LIMIT.search(said)):
        return Classified(Ending.REFUSED, f"The provider refused the key: {words}")
    if status in (402, 429, 529) or (status in (0, 400, 403, 503) and _LIMIT.search(said)):
        return Classified(Ending.REFUSED, f"The provider's limit is reached: {words}", retry_at(said, now=now))
    if is_permanent(said):
        return Classified(Ending.REFUSED, f"The provider refused the call: {words}")
    if status >= 500:
        return Classified(Ending.REFUSED, f"The provider has a fault: {words}", retry_at(said, now=now))
    if not status and _FAULT.search(said):
        return Classified(Ending.REFUSED, f"The provider has a fault: {words}", retry_at(said, now=now))
    if not status and _UNREACHABLE.search(said):
        return Classified(Ending.REFUSED, f"{program} did not reach the provider: {words}")
    return None


def is_permanent(said: str) -> bool:
    """Whether a text says that the same call would always be refused, whoever makes it: its model is unknown, it is too
    large, or the run has reached its limit.
    """
    status = _status(said)
    if status == 404:
        return "model" in said.lower()
    is_refused = status in (0, 400) and any(words.search(said) for words in (_NO_MODEL, _OWN_LIMIT))
    return is_refused or is_too_long(said)


def is_too_long(said: str) -> bool:
    """Whether a text says that a call was too large for its model or provider. A new session's calls are smaller."""
    status = _status(said)
    return status == 413 or (status in (0, 400) and _TOO_LONG.search(said) is not None)


def _status(said: str) -> int:
    """The HTTP status that a text names; 0: none."""
    found = _STATUS.search(said)
    return int(found[1]) if found else 0


def retry_at(said: str, *, now: datetime | None = None) -> datetime | None:
    """When a text says that a call may be tried again, aware UTC; None if it does not say, or says no sensible time."""
    present = now or datetime.now(UTC)
    for read in (_epoch, _stamp, _span, _clock):
        try:
            at = read(said, present)
        except ValueError:
            # A day or an hour that there is not. Another reader would take its digits for something else.
            return None
        if at is not None:
            return at if present <= at <= present + _LONGEST_WAIT else None
    return None


def shortened(said: str) -> str:
    """A text on one line, cut at LONGEST_REASON characters."""
    line = " ".join(said.split())
    return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]} …"


def _last_line(stderr: str) -> str:
    return next((line for line in reversed(stderr.splitlines()) if line.strip()), "")


def _epoch(said: str, _present: datetime) -> datetime | None:
    found = _EPOCH.search(said)
    return datetime.fromtimestamp(int(found[1]), UTC) if found else None


def _stamp(said: str, _present: datetime) -> datetime | None:
    found = _STAMP.search(said)
    return datetime.fromisoformat(found[1]) if found else None


def _span(said: str, present: datetime) -> datetime | None:
    found = _SPAN.search(said)
    if not found:
        return None
    seconds = sum(float(number) * _UNIT_SECONDS[unit.lower()] for number, unit in _PART.findall(found[1]))
    return present + min(timedelta(seconds=min(seconds, 1e9)), _LONGEST_WAIT * 2)


def _clock(said: str, present: datetime) -> datetime | None:
    found = _CLOCK.search(said)
    # Another zone than UTC is the machine's own, which an agent's programs run in.
    if not found or (not found[2] and not found[3]):
        return None
    hour = int(found[1]) % 12 + 12 * (found[3].lower() == "pm") if found[3] else int(found[1])
    minute = int(found[2] or 0)
    if hour > 23 or minute > 59:
        return None
    local = present if found[4] else present.astimezone()
    at = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return (at if at > local else at + timedelta(days=1)).astimezone(UTC)
