"""Every block that README, docs/ and deploy/ show is looked at.

The commands of all scripts are read as `aiworker`, `make` and the settings read them. Calls of the API are made in
test_documented_calls.py.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import subprocess

import click
import pytest
import yaml

from common.settings import read_store, read_web
from common.settings.environment import Environment
from tests.web.documentation.snippets import ROOT, SCRIPTS, blocks, commands, inline_codes, program
from web.cli.main import cli
from workers.runner import __main__ as runner
from workers.runner.drivers.steps import steps_for_round

BLOCKS = blocks()
LANGUAGES = {*SCRIPTS, "json", "markdown", "mermaid", "python", "sql", "steps", "text"}
"""mermaid: tests/test_states_page.py compares it with the states. text: a drawing or an output.
"""
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


class _Wrong(Exception):
    """Why a command can't be what people should type."""


def test_every_block_says_what_it_is() -> None:
    """It has a language that is checked, and no mark that would keep it from that."""
    unknown = [one.where for one in BLOCKS if one.language not in LANGUAGES or one.marks]

    assert unknown == []
    assert len(BLOCKS) > 60


def test_every_script_is_one_that_bash_can_read() -> None:
    for one in BLOCKS:
        if one.language in SCRIPTS:
            read = subprocess.run(["bash", "-n"], input=one.text, capture_output=True, text=True, check=False)
            assert (read.returncode, read.stderr) == (0, ""), one.where


def test_every_command_of_a_block_exists_with_its_options() -> None:
    wrong = {}
    for one in BLOCKS:
        if one.language not in SCRIPTS:
            continue
        for words in commands(one.text):
            try:
                _check(words)
            except _Wrong as why:
                wrong[f"{one.where} {shlex.join(words)}"] = str(why)

    assert wrong == {}


@pytest.mark.slow
def test_every_command_in_a_sentence_exists_with_its_options() -> None:
    wrong = {}
    for page, code in inline_codes():
        code = code.removeprefix(".venv/bin/")
        if not re.match(r"(aiworker|make) [a-z]", code) or "…" in code:
            continue
        try:
            if code.startswith("make"):
                _check(shlex.split(code))
            else:
                _check_options(shlex.split(code)[1:])
        except _Wrong as why:
            wrong[f"{page} {code}"] = str(why)

    assert wrong == {}


def _check(words: list[str]) -> None:
    """Raise _Wrong for a command of ours that does not exist."""
    given, command = program(words)
    _check_variables(given)
    match command:
        case ["export", *settings]:
            _check_variables(dict(word.split("=", 1) for word in settings))
        case ["aiworker", *arguments]:
            _check_arguments(arguments)
        case ["kubectl", *others] if "--" in others and "$@" not in others:
            inside = others[others.index("--") + 1 :]
            if inside[0] == "aiworker":
                _check_arguments(inside[1:])
        case ["make", *others]:
            _check_make(others)


def _check_variables(given: dict[str, str]) -> None:
    try:
        environment = Environment({name: value for name, value in given.items() if "$" not in value and value != "…"})
        read_store(environment)
        read_web(environment)
    except Exception as error:
        raise _Wrong(str(error)) from error


def _check_make(words: list[str]) -> None:
    """A target, and variables; ARGS of `up` are arguments of `aiworker up`."""
    variables = dict(word.split("=", 1) for word in words if "=" in word)
    targets = [word for word in words if "=" not in word and not word.startswith("-")]
    if not targets or not set(targets) <= TARGETS:
        raise _Wrong(f"the Makefile has no {targets}")
    if targets == ["up"] and "ARGS" in variables:
        _check_arguments(["up", *shlex.split(variables["ARGS"])])


def _check_arguments(arguments: list[str]) -> None:
    """Read them as `aiworker` does, without doing anything."""
    if not arguments:
        return None
    try:
        context = cli.make_context("aiworker", list(arguments))
        while isinstance(context.command, click.Group) and (rest := [*context._protected_args, *context.args]):
            name, command, rest = context.command.resolve_command(context, rest)
            assert command is not None
            if name == "agent":
                return _check_agent(rest)
            context = command.make_context(name, rest, parent=context)
    except click.exceptions.Exit:
        return None
    except click.ClickException as error:
        is_file = isinstance(error, click.BadParameter) and error.param and isinstance(error.param.type, click.Path)
        if not is_file:  # the reader's own files are not here
            raise _Wrong(error.format_message()) from error


def _check_agent(arguments: list[str]) -> None:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            runner._parser().parse_args(arguments)
    except SystemExit as error:
        if error.code:
            raise _Wrong(said.getvalue()) from error


def _check_options(words: list[str]) -> None:
    """That the command exists and has these options; what it needs besides may be missing."""
    command: click.Command = cli
    context = click.Context(cli)
    for word in words:
        if word.startswith("-"):
            known = {name for parameter in command.params for name in parameter.opts + parameter.secondary_opts}
            known |= {"--help", "-h"}
            if command.name != "agent" and word.partition("=")[0] not in known:
                raise _Wrong(f"{command.name} has no option {word}")
        elif isinstance(command, click.Group):
            found = command.get_command(context, word)
            if found is None:
                raise _Wrong(f"{command.name} has no command {word}")
            command = found


def test_every_example_of_data_can_be_read() -> None:
    for one in BLOCKS:
        if one.language == "json":
            assert [json.loads(line) for line in one.text.splitlines()], one.where
        elif one.language == "python":
            compile(one.text, one.where, "exec")
        elif one.language == "steps":
            assert yaml.safe_load(one.text), one.where
            assert steps_for_round(f"```steps\n{one.text}```\n", 1), one.where
