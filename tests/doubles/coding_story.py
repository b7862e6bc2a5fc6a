"""One story for each real CLI's model: read, ask, edit, test, commit; then feedback in the same session.

The calls differ by the CLI's own tools only. A prompt with FIRST begins the story, one with FEEDBACK its second part.
"""

from __future__ import annotations

from tests.doubles.cli_dialects import DIALECTS
from tests.doubles.model_server import Scene
from tests.doubles.model_wire import Step

FIRST, FEEDBACK = "TASK-1", "FEEDBACK"
QUESTION = "Should add() accept floats?"
DONE, DONE_AGAIN = "Done: add() now adds; committed on the task branch.", "Feedback handled."
DOCSTRING = 'def add(a, b):\n    """Return the sum."""'
TEST = "python3 -c 'from test_calc import test_add; test_add()'"
COMMIT = f"{TEST} && git commit -qam 'Fix add()' && git log --oneline -1"
COMMIT_AGAIN = "git commit -qam 'Add docstring'"


def story(driver: str) -> tuple[Scene, Scene]:
    """The two scenes for a driver's CLI."""
    cli = DIALECTS[driver]
    read = cli.read("calc.py", "I'll read the code first.")
    ask = cli.ask(QUESTION, "calc.py")
    fix = cli.edit("calc.py", "    return a - b", "    return a + b", "Thanks, fixing it.")
    again = cli.edit("calc.py", "def add(a, b):", DOCSTRING, "Adding the docstring.")
    return (
        Scene(FIRST, (read, ask, fix, cli.run(COMMIT, "Now I test and commit."), Step(DONE))),
        # Edits want the file read in the same session; what was read before may have changed on another machine.
        Scene(FEEDBACK, (read, again, cli.run(COMMIT_AGAIN, "Committing."), Step(DONE_AGAIN))),
    )
