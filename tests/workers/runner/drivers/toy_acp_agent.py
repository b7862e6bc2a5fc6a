"""`python toy_acp_agent.py`: a small agent of the Agent Client Protocol, without a model: does what its prompt says."""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def send(message: dict[str, Any]) -> None:
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def update(kind: str, **fields: object) -> None:
    send({"method": "session/update", "params": {"sessionId": "s-1", "update": {"sessionUpdate": kind, **fields}}})


def say(text: str) -> None:
    update("agent_message_chunk", content={"type": "text", "text": text})


def ask() -> None:
    """Ask for a permission, as the protocol has it, and tell the answer."""
    options = [
        {"optionId": "no", "name": "No", "kind": "reject_once"},
        {"optionId": "yes", "name": "Yes", "kind": "allow_once"},
    ]
    call = {"toolCallId": "c-1", "title": "run", "rawInput": {"command": "ls"}, "status": "pending"}
    params = {"sessionId": "s-1", "toolCall": call, "options": options}
    send({"id": 99, "method": "session/request_permission", "params": params})
    answer = json.loads(sys.stdin.readline())["result"]["outcome"]
    content = [{"type": "content", "content": {"type": "text", "text": str(answer["optionId"])}}]
    update("tool_call_update", toolCallId="c-1", status="completed", content=content, rawOutput={"exitCode": 0})


def work(prompt: str) -> dict[str, Any]:
    """One turn; returns the fields of its reply."""
    if "crash" in prompt:
        os._exit(7)
    if "refuse" in prompt:
        return {"error": {"code": -32603, "message": "Internal error", "data": "429 rate limit, try again in 20s"}}
    if "plan" in prompt:
        entries = [
            {"content": "Read", "priority": "high", "status": "completed"},
            {"content": "Write", "priority": "low", "status": "pending"},
        ]
        update("plan", entries=entries)
    if "permission" in prompt:
        ask()
    if "wait" in prompt:
        json.loads(sys.stdin.readline())
        return {"result": {"stopReason": "cancelled"}}
    for piece in ("I read: ", prompt.strip(), " in ", os.path.basename(os.getcwd())):
        say(piece)
    return {"result": {"stopReason": "end_turn"}}


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        match request.get("method"):
            case "initialize":
                abilities = {"loadSession": False}
                send({"id": request["id"], "result": {"protocolVersion": 1, "agentCapabilities": abilities}})
            case "session/new":
                send({"id": request["id"], "result": {"sessionId": "s-1"}})
            case "session/prompt":
                send({"id": request["id"], **work(request["params"]["prompt"][0]["text"])})


if __name__ == "__main__":
    main()
