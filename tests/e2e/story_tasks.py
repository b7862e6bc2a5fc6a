"""The story's tasks, twice: as steps for the built-in agent, and as sentences for a real coding CLI.

For the CLI there is also what its scripted model does about each sentence, so that the story can be told without a key.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.doubles.cli_dialects import DIALECTS
from tests.doubles.model_server import Scene
from tests.doubles.model_wire import Step

QUESTION = "In which language should it greet?"
REASON = "Too short"
REMARK = "Welcome them, too"
COMMIT = "python3 -m unittest -q && git add -A && git commit -qm"


@dataclass(frozen=True)
class StoryTask:
    """steps: for the driver `scripted`. sentence: for everybody else."""

    title: str
    steps: str
    sentence: str


FIRST = StoryTask(
    "Greet in Spanish",
    """\
Greet whoever visits, in the language that the product owner wants.

```steps
- say: "Looking at the greeting"
- ask: {question: "In which language should it greet?", context: "It greets in one.", options: [English, Spanish]}
- write: {path: language.txt, content: "{{answer}}\\n"}
- write: {path: greeting.txt, content: "hola\\n"}
- run: "python3 -m unittest -q"
```

```steps
- say: "A friendlier greeting, as the review asks"
- replace: {path: greeting.txt, old: "hola", new: "hola, bienvenida"}
```
""",
    "Greet whoever visits, in the language that the product owner wants: ask which, with the options English and "
    "Spanish. Write that language into language.txt and the greeting into greeting.txt, each as one line: `hello` for "
    "English, `hola` for Spanish. If the review wants it longer, write `hola, bienvenida`.",
)

SECOND = StoryTask(
    "Be formal",
    """\
Be more formal.

```steps
- write: {path: greeting.txt, content: "buenos dias\\n"}
```
""",
    "Be more formal: greeting.txt is to say `buenos dias`, as one line.",
)

RIVAL = StoryTask(
    "Greet at night",
    """\
Greet in the evening, too.

```steps
- write: {path: greeting.txt, content: "buenas noches\\n"}
```

```steps
- say: "Somebody else's greeting has landed: mine wins"
- run: "git merge --quiet -X ours --message 'Merge what has landed' origin/main"
```
""",
    "Greet in the evening: greeting.txt is to say `buenas noches`, as one line. If another greeting has landed in the "
    "meantime, merge origin/main and let this one win.",
)

BAD = StoryTask(
    "Count visitors",
    """\
Count the visitors where COUNT_VISITORS is set. (It forgets to close what it opens: there it answers 500 from a second
after its start.)

```steps
- replace:
    path: app.py
    old: self.send_response(200)
    new: "self.send_response(500 if 'COUNT_VISITORS' in os.environ and time.time() - began > 1 else 200)"
- replace:
    path: app.py
    old: import http.server, os, pathlib
    new: "import http.server, os, pathlib, time\\n\\nbegan = time.time()"
```
""",
    "Show how a bad release is taken back: in app.py, where the environment variable COUNT_VISITORS is set, answer 500 "
    "instead of 200 from one second after the start on (remember the time at import as `began`).",
)

_BREAK = (
    "sed -i 's/self.send_response(200)/"
    'self.send_response(500 if "COUNT_VISITORS" in os.environ and time.time() - began > 1 else 200)/; '
    "s/^import http.server, os, pathlib$/import http.server, os, pathlib, time\\n\\nbegan = time.time()/' app.py"
)


def scenes(driver: str) -> tuple[Scene, ...]:
    """What the scripted model does in the CLI of this driver."""
    cli = DIALECTS[driver]
    greet, commit = "greeting.txt", lambda message: cli.run(f"{COMMIT} '{message}'", "I'll test and commit it.")
    first = (
        cli.read(greet),
        cli.ask(QUESTION, "It greets in one.", ("English", "Spanish")),
        cli.run("printf 'Spanish\\n' > language.txt", "Thanks: Spanish."),
        cli.edit(greet, "hello", "hola"),
        commit("Greet in Spanish"),
        Step("It greets in Spanish now."),
    )
    review = (
        cli.read(greet),
        cli.edit(greet, "hola", "hola, bienvenida", "A friendlier greeting, as the review asks."),
        commit("Welcome them, too"),
        Step("It welcomes them now."),
    )
    # Once when its group could not deliver it, and again if the other greeting landed only after that.
    merge = (cli.run("git merge --quiet -X ours --message 'Merge what has landed' origin/main"), Step("Merged."))
    return (
        Scene(FIRST.sentence[:60], first),
        Scene(REASON, review),
        Scene(SECOND.sentence[:40], _writes(driver, "buenos dias")),
        # The second time its prompt says that the work could not be delivered.
        Scene(RIVAL.sentence[:40], _writes(driver, "buenas noches")),
        *(Scene(said, merge) for said in ("could not be delivered", "It conflicts with main")),
        Scene(BAD.sentence[:40], (cli.run(_BREAK), commit("Count visitors"), Step("Done."))),
    )  # fmt: skip


def _writes(driver: str, greeting: str) -> tuple[Step, ...]:
    cli = DIALECTS[driver]
    return (
        cli.run(f"printf '{greeting}\\n' > greeting.txt"),
        cli.run(f"{COMMIT} 'Say {greeting}'"),
        Step(f"It says {greeting} now."),
    )
