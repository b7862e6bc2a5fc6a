"""Has another process make the database ready: see web/launcher/database_start.py."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass

from common.errors import Misconfigured
from common.machine.processes.children import describe_exit
from web.launcher.forks import Module, fork_module
from web.launcher.programs import CHECKOUT

DATABASE_START = "web.launcher.database_start"


@dataclass(frozen=True)
class Prepared:
    """admin_password: of the user `admin` if it was made now and its password was not given; else None.

    enrolment_token: None if none was wanted.
    """

    admin_password: str | None
    enrolment_token: str | None


def prepare(*, has_agents: bool, say: Callable[[str], None]) -> Prepared:
    """Upgrade the schema, make the first administrator, and a token for local agents if there are any. Safe to repeat.

    say: is given what the other process logs, line by line. Blocks until the upgrade has ended, also after Ctrl-C: in a
    session of its own the other process does not get the terminal's. Raises Misconfigured if the database can't be
    used, or Redis refuses the login.
    """
    arguments = ["--enrol"] if has_agents else []
    fork = fork_module(Module(DATABASE_START, arguments, dict(os.environ), CHECKOUT, "database-start"))
    with fork.stdout:
        lines = fork.stdout.read().decode(errors="replace").splitlines()
    status = fork.wait()
    has_answer = status == 0
    for line in lines[:-1] if has_answer else lines:
        say(line)
    if status < 0:
        raise Misconfigured(f"the database could not be made ready: the process for it {describe_exit(status)}")
    if not has_answer:
        raise Misconfigured("the database could not be made ready; the reason is above")
    answer = json.loads(lines[-1])
    if "error" in answer:
        raise Misconfigured(answer["error"])
    return Prepared(answer["adminPassword"], answer["enrolmentToken"])
