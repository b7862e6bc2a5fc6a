"""Every other CLI: the user's command (AIWORKER_AGENT_COMMAND). Its output is the transcript, its exit code counts.

In its words `{prompt_file}`, `{prompt}` and `{workspace}` are replaced; without either of the first two the prompt is
on its standard input.
"""

from __future__ import annotations

from collections.abc import Iterator

from workers.runner.drivers.program import Classified, Command, Ending, Event, Exit, Reader, Text, Work
from workers.runner.drivers.refusals import classify_exit
from workers.runner.drivers.templates import check_template, model_variables, template_of
from workers.runner.platform_client.driver_findings import DriverFinding

SETTING = "AIWORKER_AGENT_COMMAND"
PROMPT_FILE = "prompt.md"
LONGEST_ARGUMENT_BYTES = 120_000
"""The kernel takes 128 KiB."""


class CommandDriver:
    name = "command"
    api: str | None = None

    def check(self) -> DriverFinding:
        return check_template(self.name, SETTING)

    def command(self, work: Work) -> Command:
        template = work.template or template_of(SETTING)
        path = str(work.home / PROMPT_FILE)
        prompt = work.prompt
        if len(prompt.encode()) > LONGEST_ARGUMENT_BYTES:
            prompt = f"Your task is in the file {path}. Read all of it, and do it."
        values = {"{prompt_file}": path, "{prompt}": prompt, "{workspace}": str(work.workspace)}
        argv = tuple(_filled(word, values) for word in template)
        takes_input = not any(name in word for word in template for name in ("{prompt_file}", "{prompt}"))
        return Command(
            argv,
            needs=tuple(template),
            environ=model_variables(work.models),
            files={PROMPT_FILE: work.prompt},
            first_input=work.prompt if takes_input else None,
        )

    def reader(self) -> CommandReader:
        return CommandReader()


def _filled(word: str, values: dict[str, str]) -> str:
    """The word with its names replaced. A value that itself contains a name is left as it is."""
    for name, value in values.items():
        if name in word:
            before, _, after = word.partition(name)
            return _filled(before, values) + value + _filled(after, values)
    return word


class CommandReader(Reader):
    """Every line is text. Lines are told one by one, so that the transcript shows them as they come."""

    def read(self, line: str) -> Iterator[Event]:
        if line.strip():
            yield Text(line)

    def classify(self, exit: Exit) -> Classified:  # noqa: A002
        if exit.code == 0 and not exit.is_question_open:
            return Classified(Ending.DONE)
        return classify_exit(exit, program="The command")
