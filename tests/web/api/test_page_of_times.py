"""How long things take, and when they happened, as the page says it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.web.page_reader import PageReader
from tests.web.world import World

pytestmark = pytest.mark.slow

_SAY_TIMES = """async ([language, all]) => {
  await (await import('/static/app/language.mjs')).chooseLanguage(language);
  return all.map((await import('/static/app/parts/transcript/rows.mjs')).duration);
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


_AS_OLDER_BROWSERS = """() => {
  const Now = Intl.DateTimeFormat;
  const older = (all) => (all?.hour12 === false ? { ...all, hour12: undefined, hourCycle: "h24" } : all);
  Intl.DateTimeFormat = function (locale, options) {
    return new Now(locale, older(options));
  };
  Date.prototype.toLocaleTimeString = function (locale, options) {
    return new Now(locale, { timeStyle: "medium", ...older(options) }).format(this);
  };
}"""
"""Where clocks have 12 hours, as in English, those count from 1 to 24 without `hour12`."""
_SAY_CLOCKS = """async (language) => {
  await (await import('/static/app/language.mjs')).chooseLanguage(language);
  const midnight = new Date();
  midnight.setHours(0, 5, 9);
  const { clock } = await import('/static/app/words.mjs');
  const { sayUntil } = await import('/static/app/parts/parked.mjs');
  return [clock(midnight), sayUntil(midnight)];
}"""


@pytest.mark.parametrize(("language", "said"), [("en", ["00:05:09", "00:05"]), ("es", ["0:05:09", "00:05"])])
def test_the_first_hour_of_a_day_is_the_hour_0(
    source_reader: PageReader, plain_world: World, language: str, said: list[str]
) -> None:
    plain_world.project()
    source_reader.open()
    expect(source_reader.see("who")).to_be_visible()
    assert source_reader.page.evaluate(_SAY_CLOCKS, language) == said

    source_reader.page.evaluate(_AS_OLDER_BROWSERS)

    assert source_reader.page.evaluate(_SAY_CLOCKS, language) == said
