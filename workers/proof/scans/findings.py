"""What a scan found, and the check that says so: to the agent, to the reviewer, and by names that a person lets go."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from common.machine.text import path_text
from common.services.proof.verification import MOST_ACCEPTED, CheckResult
from common.settings import settings
from workers.proof.sentences import first_of

MOST_LINES = 2 * MOST_ACCEPTED
LONGEST_PATH = 300


@dataclass(frozen=True, order=True)
class Finding:
    """name: the same for the same thing found, wherever it is; without `: `. place: where, or more about it."""

    name: str
    place: str

    def __str__(self) -> str:
        return f"{self.name}: {self.place}"


@dataclass(frozen=True)
class CheckTexts:
    """code: of a check with findings. what, many: what one finding is, and several. remedy: what the agent does."""

    check: str
    code: str
    what: str
    many: str
    remedy: str


def findings_check(
    texts: CheckTexts, found: Iterable[Finding], *, accepted: frozenset[str], is_refused: bool,
    facts: Mapping[str, int], notes: Sequence[str] = (),
) -> CheckResult:  # fmt: skip
    """The check: passed without findings, else failed if is_refused, or passed with a warning.

    notes: sentences about what was looked at, and what not.
    """
    every = sorted(set(found))
    findings = [finding for finding in every if finding.name not in accepted]
    names = dict.fromkeys(finding.name for finding in findings)
    let_go = len({finding.name for finding in every} - names.keys())
    facts = {**facts, "found": len(names), "accepted": let_go}
    notes = [*notes, *([f"{let_go} let go by a person."] if let_go else [])]
    if not findings:
        return CheckResult(texts.check, "passed", " ".join([f"No {texts.what} was found.", *notes]), facts=facts)
    shown = first_of([f"{finding.name} in {finding.place}" for finding in findings])
    count = len(names)
    result = f"One {texts.what} was found: {shown}." if count == 1 else f"{count} {texts.many} were found: {shown}."
    parts = [result, *notes]
    log = "\n".join(str(finding) for finding in findings[:MOST_LINES])
    if is_refused:
        message = " ".join([*parts, texts.remedy])
        return CheckResult(texts.check, "failed", message, code=texts.code, log=log, facts=facts)
    return CheckResult(texts.check, "passed", " ".join(parts), code=texts.code, log=log, facts=facts)


def shown_path(path: str) -> str:
    """A path as one short line."""
    text = " ".join(path_text(path).split())
    return text if len(text) <= LONGEST_PATH else f"{text[:LONGEST_PATH]}…"


def shown_paths(paths: Iterable[str]) -> str:
    """The first paths as text, sorted."""
    every = sorted(set(map(shown_path, paths)))
    return first_of(every)


def digest_of(value: str) -> str:
    """By which the same value is known again. Without the instance's key nobody can try values against it."""
    key = settings().security.key_for("findings")
    return hmac.new(key, value.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:10]
