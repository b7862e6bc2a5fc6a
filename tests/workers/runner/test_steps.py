"""The scripted driver's language: what is understood, and that nothing else is."""

from __future__ import annotations

import pytest

from workers.runner.drivers.steps import (
    Append,
    Ask,
    Delete,
    Fail,
    Replace,
    RunCommand,
    Say,
    Sleep,
    StepError,
    Write,
    parse_steps,
    steps_for_round,
)

EVERY_STEP = """
- write: {path: a.txt, content: ""}
- append: {path: a.txt, content: "more"}
- replace: {path: a.txt, old: "x", new: ""}
- delete: b.txt
- run: "make test"
- say: Hello
- ask: "Why?"
- ask: {question: "Which?", context: "Two ways", options: [a, b]}
- sleep: 0.5
- fail: Too hard
"""


def test_every_step_is_understood() -> None:
    assert parse_steps(EVERY_STEP) == [
        Write("a.txt", ""),
        Append("a.txt", "more"),
        Replace("a.txt", "x", ""),
        Delete("b.txt"),
        RunCommand("make test"),
        Say("Hello"),
        Ask("Why?"),
        Ask("Which?", "Two ways", ("a", "b")),
        Sleep(0.5),
        Fail("Too hard"),
    ]


@pytest.mark.parametrize(("round_number", "said"), [(1, "one"), (2, "two"), (3, "two")])
def test_each_round_has_its_block_and_the_last_one_is_for_the_rest(round_number: int, said: str) -> None:
    description = "Intro\r\n```steps\r\n- say: one\r\n```\r\n\n```python\nno()\n```\n~~~~ steps\n- say: two\n~~~~"
    assert steps_for_round(description, round_number) == [Say(said)]


def test_a_block_that_another_fence_only_shows_is_none() -> None:
    shown = "````markdown\n```steps\n- say: shown\n```\n````\n"
    assert steps_for_round(shown + "```steps\n- say: meant\n```", 1) == [Say("meant")]


@pytest.mark.parametrize("description", ["Do it", "```steps\n- say: never closed"])
def test_a_description_without_a_block_is_refused_with_a_sentence(description: str) -> None:
    with pytest.raises(StepError, match="needs a fenced block tagged `steps`"):
        steps_for_round(description, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a YAML list"),
        ("- !!python/object/apply:os.system [id]", "not valid YAML"),
        ("- say: hi\n  run: ls", "Step 1 must be a mapping with one key"),
        ("- say: hi\n- think: hard", "Step 2: there is no step 'think'"),
        ("- write: a.txt", r"Step 1 \(write\): needs a mapping with path, content"),
        ("- write: {path: a}", "lacks the field content"),
        ("- write: {path: a, content: b, mode: c}", "has no field 'mode'"),
        ('- run: "a\\0b"', "contains a character"),
        ("- sleep: -1", "must be from 0"),
        ("- ask: {question: q, options: [1]}", "options must be a list of texts"),
    ],
)
def test_what_is_wrong_is_named_with_its_step(text: str, message: str) -> None:
    with pytest.raises(StepError, match=message):
        parse_steps(text)


def test_references_that_would_be_endless_when_written_out_are_refused_at_once() -> None:
    bomb = "\n".join(f"- &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" if n else "- &a0 [x]" for n in range(30))
    with pytest.raises(StepError, match="Step 1 must be a mapping"):
        parse_steps(bomb)
    with pytest.raises(StepError, match="text; put it in quotes"):
        parse_steps("- say: &a [*a]")
