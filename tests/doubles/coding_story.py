"""One story for each real CLI's model: read, ask, edit, test, commit; then feedback in the same session.

The calls differ by the CLI's own tools only. A prompt with FIRST begins the story, one with FEEDBACK its second part.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.doubles.model_server import Scene
from tests.doubles.model_wire import Step

FIRST, FEEDBACK = "TASK-1", "FEEDBACK"
QUESTION = "Should add() accept floats?"
DONE, DONE_AGAIN = "Done: add() now adds; committed on the task branch.", "Feedback handled."
DOCSTRING = 'def add(a, b):\n    """Return the sum."""'
TEST = "python3 -c 'from test_calc import test_add; test_add()'"
COMMIT = f"{TEST} && git commit -qam 'Fix add()' && git log --oneline -1"
COMMIT_AGAIN = "git commit -qam 'Add docstring'"
PATCH = "*** Begin Patch\n*** Update File: {path}\n@@\n-{old}\n+{new}\n*** End Patch\n"

Edit = Callable[[str, str, str, str], Step]
Shell = Callable[[str, str], Step]


def _claude_edit(say: str, path: str, old: str, new: str) -> Step:
    return Step(say, "Edit", {"file_path": f"{{workspace}}/{path}", "old_string": old, "new_string": new})


def _codex_edit(say: str, path: str, old: str, new: str) -> Step:
    return Step(say, "apply_patch", raw=PATCH.format(path=path, old=old, new=new.replace("\n", "\n+")))


def _gemini_edit(say: str, path: str, old: str, new: str) -> Step:
    where = {"file_path": f"{{workspace}}/{path}", "instruction": "as asked", "old_string": old, "new_string": new}
    return Step(say, "replace", where)


def _opencode_edit(say: str, path: str, old: str, new: str) -> Step:
    return Step(say, "edit", {"filePath": f"{{workspace}}/{path}", "oldString": old, "newString": new})


def _qwen_edit(say: str, path: str, old: str, new: str) -> Step:
    return Step(say, "edit", {"file_path": f"{{workspace}}/{path}", "old_string": old, "new_string": new})


def _shell(tool: str, field: str = "command") -> Shell:
    return lambda say, command: Step(
        say, tool, {field: command, "description": "Run it"} if field == "command" else {field: command}
    )


def _reading(tool: str, field: str) -> Step:
    return Step("I'll read the code first.", tool, {field: "{workspace}/calc.py"})


_ASKED = {"question": QUESTION, "context": "calc.py"}
_DIALECTS: dict[str, tuple[Step, Step, Edit, Shell]] = {
    "claude": (
        _reading("Read", "file_path"),
        Step("One question.", "mcp__aiworker__ask_user_question", _ASKED),
        _claude_edit,
        _shell("Bash"),
    ),
    "codex": (
        Step("I'll read the code first.", "exec_command", {"cmd": "cat calc.py"}),
        Step("One question.", "ask_user_question", _ASKED, namespace="mcp__aiworker"),
        _codex_edit,
        _shell("exec_command", "cmd"),
    ),
    "gemini": (
        _reading("read_file", "file_path"),
        Step("One question.", "mcp_aiworker_ask_user_question", _ASKED),
        _gemini_edit,
        _shell("run_shell_command"),
    ),
    "opencode": (
        _reading("read", "filePath"),
        Step("One question.", "aiworker_ask_user_question", _ASKED),
        _opencode_edit,
        _shell("bash"),
    ),
    "qwen": (
        _reading("read_file", "file_path"),
        Step("One question.", "mcp__aiworker__ask_user_question", _ASKED),
        _qwen_edit,
        _shell("run_shell_command"),
    ),
}


def story(driver: str) -> tuple[Scene, Scene]:
    """The two scenes for a driver's CLI."""
    read, ask, edit, shell = _DIALECTS[driver]
    fix = edit("Thanks, fixing it.", "calc.py", "    return a - b", "    return a + b")
    again = edit("Adding the docstring.", "calc.py", "def add(a, b):", DOCSTRING)
    return (
        Scene(FIRST, (read, ask, fix, shell("Now I test and commit.", COMMIT), Step(DONE))),
        # Edits want the file read in the same session; what was read before may have changed on another machine.
        Scene(FEEDBACK, (read, again, shell("Committing.", COMMIT_AGAIN), Step(DONE_AGAIN))),
    )
