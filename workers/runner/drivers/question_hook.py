"""`python question_hook.py SOCKET`: hands the questions of Claude's own tool to the platform and returns the answers.

A hook of Claude Code (PreToolUse of AskUserQuestion): reads the call on standard input, asks over the socket of the
run's tools, and prints the call with its answers. Imports the standard library only, as it runs by its path.
"""

from __future__ import annotations

import json
import socket
import sys
from typing import NotRequired, TypedDict


class Option(TypedDict):
    """An answer to choose."""

    label: str
    description: NotRequired[str]


class Question(TypedDict):
    """One question of a call; a call has one to four."""

    question: str
    options: NotRequired[list[Option]]


class Answer(TypedDict):
    """The reply of the run's tools. ok: false if nobody could be asked; text: the answer, or why."""

    ok: bool
    text: str


def main(socket_path: str) -> int:
    given = json.load(sys.stdin)["tool_input"]
    answers: dict[str, str] = {}
    for question in given["questions"]:
        answer = _ask(socket_path, question)
        if not answer["ok"]:
            return _decide("deny", {"permissionDecisionReason": answer["text"]})
        answers[question["question"]] = answer["text"]
    return _decide("allow", {"updatedInput": {**given, "answers": answers}})


def _ask(socket_path: str, question: Question) -> Answer:
    options = question.get("options") or []
    described = [f"{one['label']}: {one['description']}" for one in options if one.get("description")]
    arguments = {
        "question": question["question"],
        "context": "\n".join(described),
        "options": [one["label"] for one in options],
        "blocking": True,
    }
    line = json.dumps({"tool": "ask_user_question", "arguments": arguments})
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(socket_path)
        connection.sendall(line.encode() + b"\n")
        with connection.makefile("rb") as reply:
            answer: Answer = json.loads(reply.readline())
    return answer


def _decide(decision: str, more: dict[str, object]) -> int:
    output = {"hookEventName": "PreToolUse", "permissionDecision": decision, **more}
    print(json.dumps({"hookSpecificOutput": output}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
