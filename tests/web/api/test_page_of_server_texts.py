"""What the server says, on a page in Spanish: refusals, faults of fields, proofs, and problems of groups."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast

import pytest
from playwright.sync_api import Browser, expect

from common.models import Task
from tests.web.factories import a_question
from tests.web.page_reader import PageReader
from tests.web.server_texts import translations
from tests.web.world import World, put

pytestmark = pytest.mark.slow

# They count only where a value in them is a sentence itself.
SHORT = {
    " by {creator}",
    "Gitea's {method} {path}",
    "Waiting: {waits_for}",
    "{context}: missing",
    "at {expected}",
    "git {arguments} in {name}",
    "git {name} {why}: {output}",
    "is at {found}",
    "it {status}",
    "it {words}",
    "Step {number} ({kind}): {message}",
    "Step {number}{value}: {error}",
    "{description} with {status}",
    "{name} in {place}",
    "{scope}'s cap",
    "{value} is not {what}",
    "{what} is {how}",
}
SPANISH = "() => localStorage.setItem('aiworker.language', 'es')"
SAY_ALL = """async (texts) => {
  const { loadServerTexts, serverText } = await import("/static/app/words/server-texts.mjs");
  await loadServerTexts();
  return texts.map((text) => serverText(text));
}"""

SAID = {
    "task 42 is in_progress; only ready_to_test can be approved": (
        "la tarea 42 está en estado «En curso»; solo se puede aprobar si está lista para probar"
    ),
    # A sentence in a sentence.
    "given up after 3 lost runs; the last one: its agent sent no heartbeat for a minute": (
        "abandonada tras 3 ejecuciones perdidas; la última: su agente no ha dado señales durante un minuto"
    ),
    "The tests fail: it used 300 MiB of memory, its limit is 256 MiB.": (
        "Las pruebas fallan: usó 300 MiB de memoria; su límite es 256 MiB."
    ),
    # Sentences in a row, one of them with a rest that begins with a space.
    "The tests fail: a.py::test_b and 2 more. 3 others fail on the commit below too.": (
        "Las pruebas fallan: a.py::test_b y 2 más. Otras 3 fallan también en el commit base."
    ),
    # A phrase that was made a sentence.
    "Not reviewed: 3 reviews were lost, the last one because: its agent sent no heartbeat for a minute.": (
        "Sin revisar: se perdieron 3 revisiones, la última porque: su agente no ha dado señales durante un minuto."
    ),
    # What an agent or a program said stays as it is.
    "Reviewed by Claude Code, opus: requests changes: The tests fail: why?": (
        "Revisado por Claude Code, opus: pide cambios: The tests fail: why?"
    ),
    "fatal: couldn't find remote ref main": "fatal: couldn't find remote ref main",
    "it is red": "it is red",
    "this agent can't work with fake: The fake is not installed.": (
        "este agente no puede trabajar con fake: The fake is not installed."
    ),
    "": "",
}


@pytest.fixture
def spaniard(browser: Browser, plain_world: World) -> Iterator[PageReader]:
    someone = PageReader(browser, plain_world.app, plain_world.max.username)
    someone.page.add_init_script(f"({SPANISH})()")
    yield someone
    someone.close()


def _said(reader: PageReader, texts: list[str]) -> list[str]:
    reader.page.add_init_script(f"({SPANISH})()")
    reader.open()
    reader.settle()
    return cast("list[str]", reader.page.evaluate(SAY_ALL, texts))


def test_a_sentence_is_known_by_its_form(source_reader: PageReader) -> None:
    assert dict(zip(SAID, _said(source_reader, list(SAID)), strict=True)) == SAID


def test_every_sentence_of_the_catalogue_is_recognised(source_reader: PageReader) -> None:
    pairs = [(key, text) for key, text in translations()[0] if key not in SHORT]

    def filled(text: str, names: list[str]) -> str:
        return re.sub(r"\{(\w+)\}", lambda found: f"⟨{names.index(found[1])}⟩", text)

    names = [re.findall(r"\{(\w+)\}", key) for key, _text in pairs]
    wanted = [filled(text, some) for (_key, text), some in zip(pairs, names, strict=True)]
    said = _said(source_reader, [filled(key, some) for (key, _text), some in zip(pairs, names, strict=True)])

    assert [
        (key, one) for (key, _text), one, other in zip(pairs, said, wanted, strict=True) if one.strip() != other.strip()
    ] == []


def test_what_the_platform_asks_is_told_in_spanish_wherever_it_is_shown(
    spaniard: PageReader, plain_world: World
) -> None:  # fmt: skip
    project = plain_world.project()
    stuck, asking = plain_world.task(project, "Stuck"), plain_world.task(project, "QuestioningRun")
    a_question(stuck, "The platform could not verify the work: no Answer this to try again.", is_platforms=True)
    shown = "La plataforma no pudo verificar el trabajo: no Responder a esto para volver a intentarlo."
    # An agent's stays as it wrote it, even in the platform's words.
    agents = "The work was refused 3 times, the last time because: no. How should it continue?"
    a_question(asking, agents)

    spaniard.open(f"#/projects/{project.id}/tasks")
    cards = spaniard.page.locator("[data-testid=task-card]")
    expect(cards.filter(has_text="Stuck")).to_contain_text("La plataforma no pudo verificar")
    expect(cards.filter(has_text="QuestioningRun")).to_contain_text("The work was refused 3 times")
    spaniard.open("#/inbox")
    expect(spaniard.page.get_by_text(shown)).to_be_visible()
    expect(spaniard.page.get_by_text(agents)).to_be_visible()
    spaniard.open(f"#/projects/{project.id}/tasks/{stuck.id}")
    expect(spaniard.see("question")).to_contain_text(shown)


def test_a_refusal_is_told_in_spanish(spaniard: PageReader, plain_world: World) -> None:
    task = plain_world.task(plain_world.project(), state="ready_to_test")
    spaniard.open(f"#/projects/{task.project_id}/tasks/{task.id}")
    expect(spaniard.see("task-state")).to_have_text("Listo para probar")

    # Somebody else was quicker, which this page has not heard.
    put(Task, task.id, state_="cancelled")
    spaniard.see("task-approve").click()

    expect(spaniard.page.get_by_text("está en estado «Cancelado»; solo se puede aprobar")).to_be_visible()
