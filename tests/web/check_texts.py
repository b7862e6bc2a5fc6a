"""The words of the API by which the page speaks of proofs and groups."""

from __future__ import annotations

import ast
import re

from common.services.proof.red_base import BASE_IS_RED
from common.services.review.agent_review import CHANGES_REQUESTED
from common.services.tasks.task_details import CHECKS
from common.values.delivery.commit_status import StatusCode
from common.values.testing.agent_review import NO_REVIEW, OVERRULED
from tests.servers import ROOT
from tests.web.page_states import words
from workers.proof.forge.forge_checks import NO_DEFAULT_BRANCH
from workers.proof.untested_lines import UNTESTED


def words_of_checks() -> set[str]:
    """Checks, why one failed, and why a group has a problem.

    The reasons are read from the calls that give them.
    """
    found: set[str] = {*CHECKS, *words(StatusCode), NO_REVIEW, OVERRULED, CHANGES_REQUESTED}
    found |= {BASE_IS_RED, NO_DEFAULT_BRANCH, UNTESTED}
    found |= {"conflict", "dependency", "flaky", "quarantined", "removed", "takes_back", "tests_failed"}
    for path in [*ROOT.glob("workers/**/*.py"), *ROOT.glob("common/services/**/*.py")]:
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in {
                "CheckResult",
                "_failed",
                "_passed",
                "CheckTexts",
            }:
                given = [*call.args, *(one.value for one in call.keywords)]
                texts = [one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str)]
                found |= {text for text in texts if re.fullmatch(r"[a-z]+(_[a-z]+)+", text)}
    return found
