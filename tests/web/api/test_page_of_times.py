"""How long things take, and when they happened, as the page says it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.web.page_reader import PageReader
from tests.web.world import World

pytestmark = pytest.mark.slow

_SAY_TIMES = """async ([language, all]) => {
  await (await import('/static/app/words/language.mjs')).chooseLanguage(language);
  return all.map((await import('/static/app/transcript/transcript-rows.mjs')).duration);
}"""


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", ["999 ms", "1.5 s", "1 min 0 s", "2 min 0 s", "1 h 0 min", "2 h 0 min", "26 h 30 min"]),
        ("es", ["999 ms", "1,5 s", "1 min 0 s", "2 min 0 s", "1 h 0 min", "2 h 0 min", "26 h 30 min"]),
    ],
)
def test_times_are_rounded_once_and_said_in_the_language_of_the_page(
    source_reader: PageReader, plain_world: World, language: str, said: list[str]
) -> None:
    milliseconds = [999, 1_500, 59_960, 119_600, 3_599_900, 7_199_000, 95_400_000]
    plain_world.project()
    source_reader.open()
    expect(source_reader.see("who")).to_be_visible()

    assert source_reader.page.evaluate(_SAY_TIMES, [language, milliseconds]) == said
