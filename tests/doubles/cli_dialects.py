"""What a model calls in each coding CLI to read, ask, edit and run a command: the same acts with other tools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.doubles.model_wire import Step

_PATCH = "*** Begin Patch\n*** Update File: {path}\n@@\n-{old}\n+{new}\n*** End Patch\n"


@dataclass(frozen=True)
class Dialect:
    """read, edit, run: a tool and the name of its field for the path or the command; ask: the tool's name.

    fields: of the tool for edits: path, old text, new text. more: further fields that it wants.
    """

    read_with: tuple[str, str]
    edit_with: tuple[str, str, str, str]
    run_with: tuple[str, str]
    ask_with: str
    namespace: str | None = None
    more: Mapping[str, object] | None = None

    def read(self, path: str, say: str = "I'll read it first.") -> Step:
        tool, field = self.read_with
        if tool == self.run_with[0]:
            return self.run(f"cat {path}", say)
        return Step(say, tool, {field: f"{{workspace}}/{path}"})

    def ask(self, question: str, context: str = "", options: tuple[str, ...] = (), say: str = "One question.") -> Step:
        asked: dict[str, object] = {"question": question, "context": context}
        if options:
            asked["options"] = list(options)
        return Step(say, self.ask_with, asked, namespace=self.namespace)

    def edit(self, path: str, old: str, new: str, say: str = "I'll change it.") -> Step:
        """Replace text that occurs once in a file that was read before."""
        tool, where, before, after = self.edit_with
        if tool == "apply_patch":
            lines = {"old": old.replace("\n", "\n-"), "new": new.replace("\n", "\n+")}
            return Step(say, tool, raw=_PATCH.format(path=path, **lines))
        return Step(say, tool, {where: f"{{workspace}}/{path}", before: old, after: new, **(self.more or {})})

    def run(self, command: str, say: str = "I'll run it.") -> Step:
        tool, field = self.run_with
        described = {} if field == "cmd" else {"description": "Run it"}
        return Step(say, tool, {field: command, **described})


DIALECTS: Mapping[str, Dialect] = {
    "claude": Dialect(
        ("Read", "file_path"), ("Edit", "file_path", "old_string", "new_string"), ("Bash", "command"),
        "mcp__aiworker__ask_user_question",
    ),
    "codex": Dialect(
        ("exec_command", "cmd"), ("apply_patch", "", "", ""), ("exec_command", "cmd"), "ask_user_question",
        namespace="mcp__aiworker",
    ),
    "gemini": Dialect(
        ("read_file", "file_path"), ("replace", "file_path", "old_string", "new_string"),
        ("run_shell_command", "command"), "mcp_aiworker_ask_user_question", more={"instruction": "as asked"},
    ),
    "opencode": Dialect(
        ("read", "filePath"), ("edit", "filePath", "oldString", "newString"), ("bash", "command"),
        "aiworker_ask_user_question",
    ),
    "qwen": Dialect(
        ("read_file", "file_path"), ("edit", "file_path", "old_string", "new_string"), ("run_shell_command", "command"),
        "mcp__aiworker__ask_user_question",
    ),
}  # fmt: skip
